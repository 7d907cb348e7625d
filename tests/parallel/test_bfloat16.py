"""Both ways to multiply bfloat16 matrices against float64, whatever the processor."""

import math
import os
import platform
import subprocess
import sys
from collections.abc import Iterator

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from altiplano.errors import InputError
from altiplano.parallel import bfloat16
from altiplano.parallel.bfloat16 import WAYS, Way, fastest_products, in_use, use


@pytest.fixture(autouse=True)
def nothing_stays() -> Iterator[None]:
    before = in_use()
    yield
    use(before)


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> Way:
    use(request.param)
    return request.param


def matrix(*size: int, seed: int = 0) -> Tensor:
    return torch.randn(*size, generator=torch.Generator().manual_seed(seed)).bfloat16()


def assert_rounded_once(result: Tensor, exact: Tensor, sums: Tensor) -> None:
    """Within half a unit in the last of bfloat16's 8 bits, and float32's error of the sum of magnitudes ``sums``."""
    assert result.dtype is torch.bfloat16 and result.shape == exact.shape
    bound = exact.abs() * 2.0**-8 * 1.01 + sums * 2.0**-20 + 1e-30
    assert ((result.double() - exact).abs() <= bound).all()


SHAPES = [(1, 1, 1), (3, 5, 7), (1, 300, 17), (130, 1, 9), (513, 64, 129), (33, 2049, 5), (1030, 70, 4200), (257, 1, 1)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("layout", ["plain", "a transposed", "b transposed", "both", "sliced", "expanded"])
def test_products_are_rounded_once(way: Way, shape: tuple[int, int, int], layout: str) -> None:
    m, k, n = shape
    a, b = matrix(m, k), matrix(k, n, seed=1)
    if layout in ("a transposed", "both"):
        a = matrix(k, m).t()
    if layout in ("b transposed", "both"):
        b = matrix(n, k, seed=1).t()
    if layout == "sliced":
        a, b = matrix(2 * m, k + 3)[::2, 3:], matrix(k, 2 * n, seed=1)[:, ::2]
    if layout == "expanded":
        a = matrix(1, k).expand(m, k)
    exact, sums = a.double() @ b.double(), a.double().abs() @ b.double().abs()
    assert_rounded_once(a @ b, exact, sums)
    out = torch.empty(0, dtype=torch.bfloat16)
    torch.mm(a, b, out=out)
    assert_rounded_once(out, exact, sums)
    bias = matrix(n, seed=2)
    assert_rounded_once(torch.addmm(bias, a, b), exact + bias.double(), sums + bias.double().abs())


@pytest.mark.parametrize("shape", [(2, 3, 5, 7), (4, 64, 16, 128), (1, 1, 300, 1)])
def test_batches_of_products(way: Way, shape: tuple[int, int, int, int]) -> None:
    batch, m, k, n = shape
    a, b = matrix(batch, m, k), matrix(batch, n, k, seed=1).transpose(1, 2)
    exact, sums = a.double() @ b.double(), a.double().abs() @ b.double().abs()
    assert_rounded_once(torch.bmm(a, b), exact, sums)
    unread = torch.full((), torch.nan, dtype=torch.bfloat16)
    assert_rounded_once(torch.baddbmm(unread, a, b, beta=0, alpha=0.125), exact / 8, sums / 8)
    more = matrix(batch, m, n, seed=2)
    assert_rounded_once(torch.baddbmm(more, a, b), exact + more.double(), sums + more.double().abs())


@pytest.mark.parametrize("shape", [(0, 4, 5), (3, 0, 5), (3, 4, 0), (0, 0, 0)])
def test_nothing_times_nothing(way: Way, shape: tuple[int, int, int]) -> None:
    m, k, n = shape
    assert torch.equal(matrix(m, k) @ matrix(k, n), torch.zeros(m, n, dtype=torch.bfloat16))
    assert torch.equal(torch.bmm(matrix(2, m, k), matrix(2, k, n)), torch.zeros(2, m, n, dtype=torch.bfloat16))


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_what_is_no_number_stays_none(way: Way, value: float) -> None:
    a, b = matrix(40, 30).abs(), matrix(30, 20, seed=1).abs() + 0.5
    a[7, 11] = value
    result = a @ b
    assert torch.equal(result[7].isnan(), torch.full((20,), math.isnan(value)))
    assert math.isnan(value) or (result[7] == value).all()
    assert result[:7].isfinite().all() and result[8:].isfinite().all()


def test_the_largest_numbers_overflow_to_infinity(way: Way) -> None:
    large = torch.full((4, 4), 3e38).bfloat16()
    assert (large @ large == torch.inf).all()


@settings(max_examples=40, deadline=None)
@given(m=st.integers(0, 40), k=st.integers(0, 700), n=st.integers(0, 40), flip=st.booleans(), seed=st.integers(0, 99))
def test_both_ways_agree(m: int, k: int, n: int, flip: bool, seed: int) -> None:
    a, b = matrix(k, m, seed=seed).t() if flip else matrix(m, k, seed=seed), matrix(k, n, seed=seed + 1)
    results = []
    for way in WAYS:
        use(way)
        results.append((a @ b).double())
    sums = a.double().abs() @ b.double().abs()
    bound = results[0].abs() * 2.0**-7 + sums * 2.0**-19 + 1e-30
    assert ((results[0] - results[1]).abs() <= bound).all()


def test_gradients_go_the_same_way(way: Way) -> None:
    x, w = matrix(600, 30).requires_grad_(), matrix(20, 30, seed=1).requires_grad_()
    y = torch.nn.functional.linear(x, w)
    change = matrix(600, 20, seed=2)
    y.backward(change)
    dx, dw = change.double() @ w.detach().double(), change.double().t() @ x.detach().double()
    assert x.grad is not None and w.grad is not None
    assert_rounded_once(x.grad, dx, change.double().abs() @ w.detach().double().abs())
    assert_rounded_once(w.grad, dw, change.double().abs().t() @ x.detach().double().abs())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.int64])
def test_other_types_keep_their_own_kernels(dtype: torch.dtype) -> None:
    a, b = (torch.randint(-9, 9, (2, 13, 13)).to(dtype) for _ in range(2))
    use("native")
    before = a[0] @ b[0], torch.bmm(a, b), torch.addmm(a[0], a[0], b[0], beta=2, alpha=3), torch.baddbmm(a, a, b)
    use("float32")
    after = a[0] @ b[0], torch.bmm(a, b), torch.addmm(a[0], a[0], b[0], beta=2, alpha=3), torch.baddbmm(a, a, b)
    out = torch.empty(13, 13, dtype=dtype)
    torch.mm(a[0], b[0], out=out)
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))
    assert torch.equal(out, before[0])


def test_native_comes_back() -> None:
    a, b = matrix(64, 64), matrix(64, 64, seed=1)
    use("native")
    before = a @ b
    for _ in range(3):
        use("float32")
        assert in_use() == "float32"
        use("native")
        assert in_use() == "native"
    assert torch.equal(a @ b, before)


def test_the_faster_way_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(bfloat16.VARIABLE, raising=False)
    found = fastest_products()
    assert found.native > 0 and found.float32 > 0
    assert (found.way == "float32") == (found.float32 > bfloat16.MARGIN * found.native)
    assert "GFLOP/s" in str(found)


@pytest.mark.parametrize("wanted", WAYS)
def test_the_environment_decides(wanted: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(bfloat16.VARIABLE, wanted)
    assert fastest_products().way == wanted


def test_an_unknown_way_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(bfloat16.VARIABLE, "fast")
    with pytest.raises(InputError, match="ALTIPLANO_BFLOAT16=fast is not known; set it to native or float32"):
        fastest_products()


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="the libraries' switches are for x86")
def test_a_processor_without_units_goes_by_float32() -> None:
    """The libraries are told to use AVX2 only, so that this process is on such a processor, in effect."""
    limits = {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"}
    environment = {key: value for key, value in os.environ.items() if key != bfloat16.VARIABLE} | limits
    code = "from altiplano.parallel.bfloat16 import fastest_products as f; p = f(); print(p.way, p.float32 / p.native)"
    answer = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    way, times = answer.stdout.split()
    assert way == "float32" and float(times) > 3
