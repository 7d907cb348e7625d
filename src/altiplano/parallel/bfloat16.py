"""bfloat16 at a processor's own speed, applied from outside the model.

PyTorch multiplies bfloat16 matrices in a plain loop where a processor has no units for them: 1 to 3 GFLOP/s a core
where its float32 kernels reach 60 to 100. There the same operands are widened to float32, which is exact, multiplied
with float32 sums and rounded once: what the units do, by other means. Both ways are measured when training starts, so
that no list of processors has to be kept; ``ALTIPLANO_BFLOAT16=native`` or ``=float32`` decides instead.
"""

import os
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import torch
import torch.distributed as dist
from torch import Tensor
from torch.library import Library, get_kernel

from altiplano.errors import InputError
from altiplano.model.attention import Packing, causal_attention
from altiplano.model.cpu_attention import TiledAttention, whole_rows
from altiplano.model.llama import Llama

Way = Literal["native", "float32"]
WAYS: tuple[Way, ...] = ("native", "float32")
VARIABLE = "ALTIPLANO_BFLOAT16"
MARGIN = 1.25
"""float32 must be so much faster: two nearly equal ways would be chosen by chance, and each rounds differently."""
SIZE, MOMENTS, LEAST, FAR = 256, 16, 3, 8
ELEMENTS, COLUMNS = 2**19, 4096
"""Of a widened piece, for each thread: it stays in the cache, so that widening takes next to nothing."""


@dataclass(frozen=True)
class Products:
    """How this process multiplies bfloat16 matrices on a CPU, and the FLOP/s that both ways were measured at."""

    way: Way
    native: float = 0.0
    float32: float = 0.0

    def __str__(self) -> str:
        how = "by the processor's own units" if self.way == "native" else "by float32 kernels, rounded once"
        if not self.native:
            return f"bfloat16 products {how} ({VARIABLE}={self.way})"
        return (
            f"bfloat16 products {how} (measured: native {self.native / 1e9:,.1f} GFLOP/s, "
            f"by float32 {self.float32 / 1e9:,.1f})"
        )


def fastest_products() -> Products:
    """Which way is faster here: measured for some milliseconds, once a process, unless the environment says which.

    Raises InputError when ``ALTIPLANO_BFLOAT16`` names no way.
    """
    return _forced() or _measured()


def _forced() -> Products | None:
    wanted = os.environ.get(VARIABLE, "")
    if not wanted:
        return None
    for way in WAYS:
        if wanted == way:
            return Products(way)
    raise InputError(f"{VARIABLE}={wanted} is not known; set it to {' or '.join(WAYS)}, or unset it")


@cache
def _measured() -> Products:
    """The best of several moments of each way, in turns; three show a way that is far slower than the other."""
    a, b = (torch.randn(SIZE, SIZE).bfloat16() for _ in range(2))
    used, threads = in_use(), torch.get_num_threads()
    torch.set_num_threads(1)  # threads wait for one another, long where others use the machine
    use("native")
    products: dict[Way, Callable[..., Tensor]] = {"native": torch.mm, "float32": _product}
    best = dict.fromkeys(products, float("inf"))
    for moment in range(MOMENTS):
        for way, product in products.items():
            if moment > LEAST and best[way] > FAR * min(best.values()):
                continue
            start = time.perf_counter()
            product(a, b)
            if moment:  # the first wakes threads and fills caches
                best[way] = min(best[way], time.perf_counter() - start)
    torch.set_num_threads(threads)
    use(used)
    native, float32 = (2 * SIZE**3 / seconds for seconds in best.values())
    return Products("float32" if float32 > MARGIN * native else "native", native, float32)


def choose_products() -> Products:
    """Multiply as is fastest here, on all ranks alike: the first measures while the others wait, and decides."""
    found = [_forced()]  # on every rank: none waits for another that refused a wrong name
    if found[0] is None and dist.get_rank() == 0:
        found[0] = _measured()
    dist.broadcast_object_list(found, src=0)
    assert found[0] is not None
    use(found[0].way)
    return found[0]


_kernels: Library | None = None


def in_use() -> Way:
    return "native" if _kernels is None else "float32"


def use(way: Way) -> None:
    """Let every product of bfloat16 matrices on the CPU go this way: in the whole process, whose kernels they are."""
    global _kernels  # noqa: PLW0603
    if way == in_use():
        return
    if way == "native":
        _kernels = None  # with the library go its kernels
        return
    _kernels = Library("aten", "IMPL")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that kernels are replaced, which is the purpose
        for name, product in PRODUCTS.items():
            for out in ("", ".out"):
                _replace(_kernels, name + out, product)


def _replace(library: Library, name: str, product: Callable[..., Tensor]) -> None:
    """Other types keep PyTorch's own kernel."""
    own = get_kernel(f"aten::{name}", "CPU")

    def kernel(keys: Any, *args: Any, out: Tensor | None = None, **numbers: Any) -> Tensor:
        if args[0].dtype is not torch.bfloat16:
            return own.call_boxed(keys, *args, **numbers, **({} if out is None else {"out": out}))
        result = product(*args, **numbers)
        return result if out is None else out.resize_(result.shape).copy_(result)

    library.impl(name, kernel, "CPU", with_keyset=True)


def _product(a: Tensor, b: Tensor) -> Tensor:
    """a [m, k] by b [k, n], in pieces whose widened copies fit the cache."""
    (m, k), n = a.shape, b.shape[1]
    room = ELEMENTS * torch.get_num_threads()
    if a.stride(0) == 1 and k > (some := max(512, room // max(1, m, n))):
        # A weight's gradient, a sum over tokens: these come in pieces, and the sum is rounded when it is whole.
        total = torch.zeros(m, n)
        for start in range(0, k, some):
            total.addmm_(a[:, start : start + some].float(), b[start : start + some].float())
        return total.bfloat16()
    result = torch.empty(m, n, dtype=torch.bfloat16)
    rows = max(128, room // max(1, k, min(n, COLUMNS)))
    for left in range(0, n, COLUMNS):
        columns = slice(left, left + COLUMNS)
        wide = b[:, columns].float()
        for start in range(0, m, rows):
            result[start : start + rows, columns] = a[start : start + rows].float() @ wide
    return result


def _widened(product: Callable[..., Tensor]) -> Callable[..., Tensor]:
    return lambda *matrices, **numbers: product(*(matrix.float() for matrix in matrices), **numbers).bfloat16()


PRODUCTS: dict[str, Callable[..., Tensor]] = {
    "mm": _product,
    "bmm": _widened(torch.bmm),
    "addmm": _widened(torch.addmm),
    "baddbmm": _widened(torch.baddbmm),
}


def attention() -> Callable[[Tensor, Tensor, Tensor, Packing], Tensor]:
    """Attention that suits the way in use: where products are float32, a tile's scores need not be rounded between."""
    return causal_attention if in_use() == "native" else _attention_in_float32


def set_attention(model: Llama) -> None:
    for block in model.layers.values():
        block.get_submodule("self_attn").attend = attention()  # type: ignore[assignment]


def _attention_in_float32(q: Tensor, k: Tensor, v: Tensor, packing: Packing) -> Tensor:
    return TiledAttention.apply(q, k, v, packing or whole_rows(*q.shape[:2], q.dtype), torch.float32)
