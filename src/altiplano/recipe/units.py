"""Counts and sizes as people write them: ``16M``, ``15T``, ``128Ki``, ``8 GiB``.

What every section of a recipe or a cluster file has in common.
"""

import re
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict

SCALE: dict[str, int] = {
    "": 1,
    **{unit: 1000**power for power, unit in enumerate(["K", "M", "G", "T", "P"], start=1)},
    **{unit + "i": 1024**power for power, unit in enumerate(["K", "M", "G", "T", "P"], start=1)},
    "B": 1000**3,
}
SPELLING = re.compile(r"\s*([0-9][0-9_]*(?:\.[0-9]+)?)\s*([KMGTP]i?|B|)\s*", re.ASCII)


def parse_count(value: Any) -> Any:
    """``"16M"`` → 16_000_000, ``"16Mi"`` → 16_777_216, ``"15T"`` → 15 * 10**12 (``B`` is a billion).

    Numbers pass through, so that the field's own type judges them. Raises ValueError for other spellings.
    """
    if not isinstance(value, str):
        return value
    return _scaled(value, value, 'a count such as 4096, "16M", "16Mi" or "15T"')


def parse_bytes(value: Any) -> Any:
    """``"8 GiB"`` → 8 * 2**30, ``"10MB"`` → 10_000_000. Raises ValueError for other spellings."""
    if not isinstance(value, str):
        return value
    return _scaled(value.removesuffix("B"), value, 'a size such as 1048576, "10MB" or "8 GiB"')


def _scaled(digits_and_unit: str, spelling: str, wanted: str) -> int:
    match = SPELLING.fullmatch(digits_and_unit)
    if match is None:
        raise ValueError(f"{spelling!r} is not {wanted}")
    number, unit = match.groups()
    scale = int(SCALE[unit])
    return round(float(number) * scale) if "." in number else int(number) * scale


def human(count: float) -> str:
    """A count for people: 1234567 → ``1.23M``."""
    for size, unit in ((1e15, "P"), (1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(count) >= size:
            return f"{count / size:.3g}{unit}" if count < 999.5 * size else f"{count / size:.0f}{unit}"
    return f"{count:.3g}" if isinstance(count, float) and not count.is_integer() else f"{int(count)}"


def figure(value: float) -> str:
    """Three digits and no exponent that Python invents: 6330.4 → ``6,330``, 8e-05 → ``8e-5``."""
    if 100 <= abs(value) < 1e15:
        return f"{value:,.0f}"
    return re.sub(r"e([+-])0*", lambda match: "e" + match[1].removeprefix("+"), f"{value:.3g}")


def human_bytes(size: float) -> str:
    """A size for people: 1536 → ``1.5 KiB``."""
    for step, unit in ((2**50, "PiB"), (2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if abs(size) >= step:
            return f"{size / step:.1f} {unit}"
    return f"{int(size)} B"


Count = Annotated[int, BeforeValidator(parse_count)]
Bytes = Annotated[int, BeforeValidator(parse_bytes)]


class Section(BaseModel):
    """Unknown keys are errors; nothing changes after it was read."""

    model_config = ConfigDict(extra="forbid", frozen=True)
