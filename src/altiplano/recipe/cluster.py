"""The hardware a run uses: devices, power, place, and the layout it suggests."""

from typing import Literal

from pydantic import Field

from altiplano.recipe.layout import Layout
from altiplano.recipe.schema import Section


class Cluster(Section):
    name: str
    device: Literal["cpu", "cuda"]
    device_name: str = Field("", description="what the card of the model calls it; empty: ask the machine")
    devices: int = Field(1, gt=0)
    memory: float = Field(0.0, ge=0, description="GiB per device, which --layout auto fills; 0: not known")
    watts_per_device: float = Field(gt=0, description="W drawn under load, for the energy estimate")
    pue: float = Field(1.0, ge=1, description="power usage effectiveness of the site")
    country: str = Field("", description="ISO 3166-1 alpha-3; empty: as the recipe's disclosure states")
    layout: Layout = Layout()
