"""RMSNorm in bfloat16 on a CPU against its formula in float64, values and gradients."""

import torch

from altiplano.model.llama import RMSNorm, _RMSNorm


def test_own_norm_equals_the_formula() -> None:
    generator = torch.Generator().manual_seed(0)
    x, upstream = (torch.randn(3, 5, 64, generator=generator).bfloat16() for _ in range(2))
    weight = (1 + 0.1 * torch.randn(64, generator=generator)).bfloat16()
    wide_x, wide_weight = (t.double().requires_grad_() for t in (x, weight))
    expected = wide_x / (wide_x.square().mean(dim=-1, keepdim=True) + 1e-5).sqrt() * wide_weight
    expected.backward(upstream.double())

    norm = RMSNorm(64, 1e-5).bfloat16()
    norm.weight.data.copy_(weight)
    mine = x.clone().requires_grad_()
    result = norm(mine)
    assert "_RMSNorm" in type(result.grad_fn).__name__
    result.backward(upstream)
    for ours, theirs in ((result, expected), (mine.grad, wide_x.grad), (norm.weight.grad, wide_weight.grad)):
        assert ours is not None and theirs is not None
        assert (ours.double() - theirs).norm() < 4e-3 * theirs.norm()  # rounding to bfloat16, once


def test_gradients_of_the_formula_in_float32() -> None:
    generator = torch.Generator().manual_seed(1)
    x, weight = (torch.randn(size, generator=generator).requires_grad_() for size in ((2, 4, 8), (8,)))
    x.grad = weight.grad = None
    _RMSNorm.apply(x, weight, 1e-5).sin().sum().backward()
    ours = (x.grad, weight.grad)
    x.grad = weight.grad = None
    torch.nn.functional.rms_norm(x, (8,), weight, 1e-5).sin().sum().backward()
    torch.testing.assert_close(ours, (x.grad, weight.grad), rtol=1e-5, atol=1e-6)
