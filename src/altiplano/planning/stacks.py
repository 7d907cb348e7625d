"""Software stacks and chips: the constants of the planner, read from ``data/*.toml``, where each is tagged and sourced.

A value is a plain TOML value, or a table ``{value, tag, source}`` with the tag published, derived, fitted or assumed.
"""

import difflib
import tomllib
from dataclasses import MISSING, dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from altiplano.errors import InputError
from altiplano.planning.case import RecomputeMode, Sharding

DATA = Path(__file__).parent / "data"
TAGS = ("published", "derived", "fitted", "assumed", "measured")
Kind = TypeVar("Kind")


@dataclass(frozen=True)
class Chip:
    """One device. Rates per second: FLOP, bytes in one direction; ``memory_gib`` as software sees it; watts."""

    name: str
    description: str
    peak_bf16: float
    memory_gib: float
    memory_bandwidth: float
    link_bandwidth: float
    """To a device of the same node, one direction."""
    network_bandwidth: float
    """To another node, each device, one direction."""
    node: int
    chip_watts: float
    node_watts: float
    """Each device's share of a whole node under load, with processors, network and fans."""
    matmul_share: float
    """Of the peak that the largest matrix products reach."""
    attention: dict[str, float]
    """Share of the peak that each kernel of fused attention reaches forward on long rows."""
    peak_fp8: float = 0.0
    matmul_share_fp8: float = 0.0
    peak_fp32: float = 0.0
    """Of float32 itself: PyTorch uses TF32 only where a program turns it on, which none of the stacks does."""
    units: int = 0
    """Multiprocessors, for wave quantisation; 0: none."""
    reserve_gib: float = 0.0
    """Of the memory, for the driver, kernels and collectives."""
    fabric: int = 0
    """Devices that share the fast links, where that is more than a node."""
    elementwise_bandwidth: float = 0.0
    """Bytes that SiLU and its product read and write a second (processors; 0: a GPU)."""
    call_seconds: float = 0.0
    """Of a matrix product beyond its FLOPs (processors)."""
    score_seconds: float = 0.0
    """Of the softmax of one attention score (processors)."""
    disk_bandwidth: float = 0.0

    def kernel(self, name: str) -> float:
        """The share that attention kernel ``name`` reaches here, or the only one that there is."""
        return self.attention.get(name) or next(iter(self.attention.values()))

    @property
    def domain(self) -> int:
        return self.fabric or self.node

    def peak(self, precision: str) -> float:
        """FLOP/s of matrix products. Raises InputError where the chip has none, or where it is not known."""
        peak = {"bf16": self.peak_bf16, "fp8": self.peak_fp8, "fp32": self.peak_fp32}[precision]
        if peak <= 0:
            raise InputError(
                f"chip {self.name} has no peak_{precision}: another precision or chip would do, or, in a hardware "
                f"file, peak_{precision}"
            )
        return peak

    def share(self, precision: str) -> float:
        return self.matmul_share_fp8 if precision == "fp8" else self.matmul_share


@dataclass(frozen=True)
class Stack:
    """What a training stack does with the hardware: documented features, and the constants that were fitted."""

    name: str
    description: str
    sharding: Sharding
    gradient_bytes: int
    """Of the gradients that are kept and reduced."""
    optimizer_bytes: int
    """Per parameter beside the weights that are multiplied: master weights and moments."""
    logit_bytes: float
    recomputes: tuple[RecomputeMode, ...]
    """That a layout can name; published runs had others, too."""
    tp_exposed: float
    """Share of tensor-parallel communication that no product hides."""
    async_tp_exposed: float = 0.0
    """The same with a layout's async_tp; 0: there is none."""
    parallelism: tuple[str, ...] = ("tp", "pp", "cp")
    """Beside data parallelism, which all have."""
    schedules: tuple[str, ...] = ("1f1b", "interleaved")
    matmul: float = 1.0
    """Of what the chip's matrix products reach."""
    matmul_fp8: float = 1.0
    """Of what the chip's fp8 products reach, on top of that."""
    rowwise: bool = False
    """fp8 has a scale for each row, which tensor-parallel ranks find together."""
    casts: float = 1.0
    """Seconds of the casts to fp8, of what their bytes take at the memory's bandwidth."""
    attention: str = "cudnn"
    """The kernel of fused attention: cudnn (or FlashAttention 3), flash2, triton; "": scores are written to memory."""
    elementwise: float = 1.0
    """Memory traffic of norms, activations and residuals, of a stack that fuses them."""
    logit_bytes_split: float = 0.0
    """With tensor parallelism, where that is another number."""
    selective_keeps: str = "products"
    """Selective recomputation keeps the outputs of all products and attention (products), of every second one (half),
    or queries, keys and values (qkv)."""
    recomputed_products: float = 0.0
    """Share of the forward products that selective recomputation does again."""
    recomputed_gathers: float = 0.0
    """Share of the forward communication that selective recomputation does again."""
    fleet: float = 1.0
    """Sustained over weeks, of a benchmark of fifty steps."""
    regathers: bool = True
    """Tensor parallelism gathers norm outputs again in the backward pass and keeps only its share."""
    mlp_kept: int = 3
    head_in_pieces: bool = False
    """Head and loss can be computed in pieces of the vocabulary."""
    slots: bool = False
    accumulates_unsharded: bool = False
    receives_ahead: bool = False
    """A pipeline rank holds a receive buffer for every micro-batch of a step, not only for those in flight."""
    overlaps_data: bool = True
    data_exposed: float = 0.15
    caveat: str = ""
    """Why its constants are guesses."""
    uncertainty: float = 0.15
    """Half of the interval on step time that is printed, relative."""


def value_of(entry: Any) -> Any:
    return entry["value"] if isinstance(entry, dict) and "value" in entry else entry


def _read(kind: type[Kind], name: str, values: dict[str, Any], origin: str) -> Kind:
    known = {field.name: field for field in fields(kind)}  # type: ignore[arg-type]
    for key in values:
        if key not in known:
            close = difflib.get_close_matches(key, known, n=1)
            raise InputError(f"{origin}: {key} is not a known key" + (f"; did you mean {close[0]}?" if close else ""))
    for key, field in known.items():
        if field.default is MISSING and key != "name" and key not in values:
            raise InputError(f"{origin}: {key} is missing")
    plain = {key: value_of(entry) for key, entry in values.items()}
    return kind(**{"name": name, **{k: tuple(v) if isinstance(v, list) else v for k, v in plain.items()}})


@cache
def table(name: str) -> dict[str, Any]:
    return tomllib.loads((DATA / f"{name}.toml").read_text(encoding="utf-8"))


def load_stack(name: str) -> Stack:
    """Raises InputError for a name that is not in the data file."""
    stacks = table("stacks")
    if name not in stacks:
        raise InputError(f"--stack {name}: there is no such stack; there are {', '.join(stacks)}")
    return _read(Stack, name, stacks[name], f"stack {name}")


def load_chip(name: str) -> Chip:
    """A chip by its name in the data file, or a file that ``altiplano doctor --measure`` wrote.

    Raises InputError for one that is not known, or that has a rate of zero.
    """
    chips = table("chips")
    if name in chips:
        chip = _read(Chip, name, chips[name], f"chip {name}")
    elif name.endswith(".toml"):
        try:
            values = tomllib.loads(Path(name).read_text(encoding="utf-8"))
        except OSError as error:
            raise InputError(
                f"{name}: cannot be read: {error.strerror}; altiplano doctor --measure {name} writes it"
            ) from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise InputError(f"{name}: not TOML: {error}") from None
        chip = _read(Chip, str(values.pop("name", Path(name).stem)), values, name)
    else:
        close = difflib.get_close_matches(name, chips, n=1)
        hint = f"did you mean {close[0]}? There are" if close else "there are"
        raise InputError(f"chip {name!r} is not known; {hint} {', '.join(chips)}, or give a hardware file")
    check_chip(chip)
    return chip


def check_chip(chip: Chip) -> None:
    for key in (
        "peak_bf16",
        "memory_gib",
        "memory_bandwidth",
        "link_bandwidth",
        "network_bandwidth",
        "node",
        "chip_watts",
        "node_watts",
        "matmul_share",
    ):
        value = getattr(chip, key)
        if not isinstance(value, int | float) or not 0 < value < float("inf"):
            raise InputError(f"chip {chip.name}: {key} = {value} must be a number above 0")
    if chip.elementwise_bandwidth and not chip.score_seconds > 0:
        raise InputError(f"chip {chip.name}: a processor's score_seconds must be a number above 0")
    if chip.matmul_share > 1:
        raise InputError(f"chip {chip.name}: matmul_share = {chip.matmul_share:g} is a share of the peak, at most 1")


@cache
def physics() -> dict[str, float]:
    """Constants that all stacks share."""
    return {key: float(value_of(entry)) for key, entry in table("physics").items()}
