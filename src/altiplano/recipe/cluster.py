"""The hardware a run uses: devices, power, place, the layout it suggests, and how jobs are started on it."""

import re
from typing import Annotated, Literal

from pydantic import Field, field_validator

from altiplano.errors import InputError
from altiplano.recipe.layout import Layout, parse_layout
from altiplano.recipe.units import Bytes, Section

VariableName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
SECRET_NAME = re.compile(
    r"(^|_)(TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?|(API|ACCESS|PRIVATE)_?KEY)(_|$)", re.IGNORECASE
)


class LaunchConfig(Section):
    """How ``altiplano launch`` starts training here. Keys for SLURM and for Kubernetes are empty where unused."""

    devices_per_node: int | None = Field(None, gt=0, description="none: all of the cluster's devices are in one node")
    python: str = Field("", description="interpreter that has Altiplano; empty: the one at hand, in an image python")
    port: int = Field(29400, gt=0, lt=65536, description="of the rendezvous on the first node")
    max_restarts: int = Field(
        100,
        ge=0,
        description="of all ranks in one job, by torchrun and by Kubernetes each; recovery.max_restarts bounds those "
        "without a new checkpoint",
    )
    min_nodes: int | None = Field(
        None,
        gt=0,
        description="go on with as few when others are lost, with fewer data-parallel ranks and the same batches; "
        "none: wait for as many as the layout fills",
    )
    save_seconds: int | None = Field(
        None,
        gt=0,
        description="that ranks have for two steps and a checkpoint when they are told to stop; none: planned",
    )
    environment: dict[VariableName, str] = Field(
        default_factory=dict, description="written into the job as it is; what is secret goes into secrets"
    )
    secrets: dict[VariableName, Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?/[-._a-zA-Z0-9]+$")]] = (
        Field(
            default_factory=dict,
            description="variables of pods, SECRET/KEY each; elsewhere they are those of the shell that submits",
        )
    )
    partition: str = ""
    account: str = ""
    time_limit: str = Field("", pattern=r"^([0-9]+-[0-9]+|[0-9]+)?(:[0-9]+){0,2}$", description="such as 1-12:00:00")
    image: str = ""
    namespace: str = "default"
    volume_claim: str = Field("", description="PersistentVolumeClaim, shared by all pods, that holds corpora and runs")
    shared_memory: Bytes = Field(64 * 2**30, gt=0, description="/dev/shm of a pod")
    resources: dict[str, Annotated[int, Field(gt=0)]] = Field(
        default_factory=dict,
        description='of a pod with GPUs, beside them, such as {"rdma/ib" = 8}; it may pin memory then (IPC_LOCK)',
    )
    host_network: bool = Field(False, description="pods with GPUs use the node's network, where RDMA needs that")
    user: int | None = Field(None, gt=0, description="user and group of pods; none: the image's")

    @field_validator("environment")
    @classmethod
    def _no_secrets(cls, variables: dict[str, str]) -> dict[str, str]:
        for name in variables:
            if SECRET_NAME.search(name):
                raise ValueError(f"{name} looks like a secret, and a job is plain text: name it in launch.secrets")
        return variables


class Operation(Section):
    """What a plan assumes of the site; every default is an assumption that the plan names."""

    failures: str = Field("llama-3", description="a rate in planning/data/failures.toml, or failures a device and day")
    save_seconds: float = Field(60.0, ge=0, description="that training waits for a checkpoint")
    write_seconds: float = Field(
        0.0, ge=0, description="of writing it beside training until it counts; at most the time to the next"
    )
    restart_seconds: float = Field(900.0, ge=0, description="from a failure until training goes on")
    price_per_device_hour: float = Field(2.0, gt=0, description="US dollars")
    spare: float = Field(0.05, ge=0, lt=1, description="share of devices that wait to replace broken ones")


class Cluster(Section):
    name: str
    device: Literal["cpu", "cuda"]
    device_name: str = Field("", description="what the card of the model calls it; empty: ask the machine")
    devices: int = Field(1, gt=0)
    memory: float = Field(0.0, ge=0, description="GiB per device, which --layout auto fills; 0: not known")
    chip: str = Field("", description="in planning/data/chips.toml, or a file that doctor --measure wrote")
    stack: str = Field("", description="in planning/data/stacks.toml; empty: altiplano, or nvidia-nemo on GPUs")
    watts_per_device: float = Field(gt=0, description="W drawn under load, for the energy estimate")
    pue: float = Field(1.0, ge=1, description="power usage effectiveness of the site")
    country: str = Field("", description="ISO 3166-1 alpha-3; empty: as the recipe's disclosure states")
    layout: Layout = Layout()
    layouts: dict[str, dict[str, str]] = Field(
        {}, description='of phases, by the recipe\'s name and theirs, such as "dp2.cp8"; other phases have layout'
    )
    operation: Operation = Operation()
    launch: LaunchConfig = LaunchConfig()

    @field_validator("layouts", mode="before")
    @classmethod
    def _layouts_are_of_a_recipe(cls, layouts: object) -> object:
        bare = [name for name, one in layouts.items() if isinstance(one, str)] if isinstance(layouts, dict) else []
        if bare:
            raise ValueError(f'{bare[0]} is of which recipe? write it in a table [layouts."NAME OF THE RECIPE"]')
        return layouts

    @field_validator("layouts")
    @classmethod
    def _layouts_can_be(cls, layouts: dict[str, dict[str, str]]) -> dict[str, dict[str, str]]:
        for phases in layouts.values():
            for name, text in phases.items():
                try:
                    parse_layout(text)
                except InputError as error:
                    raise ValueError(str(error).replace("--layout", name, 1)) from error
        return layouts
