"""Kernels on the GPU against plain formulas in float64, on the device: attention, its masks, cross-entropy, AdamW."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from altiplano.errors import InputError
from altiplano.model.attention import Cache, cached_attention, causal_attention, document_packing
from altiplano.model.llama import Llama
from altiplano.parallel.context import context_attention, context_packing, local_positions
from altiplano.parallel.flash_attention import use_flash_attention
from altiplano.parallel.float8 import CAPABILITY, use_float8
from altiplano.recipe.load import load_recipe
from altiplano.recipe.schema import OptimizerConfig
from altiplano.tokens.loader import IGNORED
from altiplano.training.loss import token_losses
from altiplano.training.optimizer import make_optimizer

# Relative error in norm. float32: sums of some thousand products; bfloat16: 8 bits, rounded at every product.
BOUND = {torch.float32: 2e-6, torch.bfloat16: 1.5e-2}
CUDA = torch.device("cuda")


def error(value: Tensor | None, reference: Tensor | None) -> float:
    assert value is not None and reference is not None
    return float((value.double() - reference.double()).norm() / reference.double().norm())


def formula(q: Tensor, k: Tensor, v: Tensor, document: Tensor, places: Tensor | None = None) -> Tensor:
    """softmax(q kᵀ / √width) v over the tokens of the same document up to one's own, written out."""
    k, v = (t.repeat_interleave(q.shape[2] // t.shape[2], dim=2) for t in (k, v))
    at = torch.arange(document.shape[1], device=document.device) if places is None else places
    allowed = (document[:, at, None] == document[:, None, :]) & (at[:, None] >= at.new_tensor(range(k.shape[1])))
    scores = torch.einsum("bqhw,bkhw->bhqk", q, k) / q.shape[-1] ** 0.5
    return torch.einsum("bhqk,bkhw->bqhw", scores.masked_fill(~allowed[:, None], -torch.inf).softmax(-1), v)


def inputs(tokens: int, dtype: torch.dtype, heads: tuple[int, int] = (4, 2), width: int = 64) -> list[Tensor]:
    generator = torch.Generator(CUDA).manual_seed(tokens)
    return [
        torch.randn(2, tokens, n, width, generator=generator, device=CUDA).to(dtype).requires_grad_()
        for n in (heads[0], heads[1], heads[1])
    ]


def documents(tokens: int, share: float) -> Tensor:
    generator = torch.Generator(CUDA).manual_seed(tokens)
    document = (torch.rand(2, tokens, generator=generator, device=CUDA) < share).long().cumsum(1)
    document[0] = 0  # one row is a single document
    return document


@pytest.mark.parametrize("dtype", BOUND)
@pytest.mark.parametrize(("tokens", "share"), [(64, 0.1), (300, 0.05), (1024, 0.002)])
def test_attention_within_documents(tokens: int, share: float, dtype: torch.dtype) -> None:
    document, ours = documents(tokens, share), inputs(tokens, dtype)
    exact = [t.detach().double().requires_grad_() for t in ours]
    result, expected = causal_attention(*ours, document_packing(document, dtype)), formula(*exact, document)
    change = torch.randn_like(expected)
    result.backward(change.to(dtype))
    expected.backward(change.to(dtype).double())
    found = [error(result, expected), *(error(a.grad, b.grad) for a, b in zip(ours, exact, strict=True))]
    assert max(found) < BOUND[dtype], found


@pytest.mark.parametrize(("tokens", "share"), [(300, 0.05), (1024, 0.002)])
def test_flash_attention_within_documents(tokens: int, share: float) -> None:
    try:
        use_flash_attention(True, CUDA)
    except InputError as error:
        pytest.skip(str(error))
    try:
        test_attention_within_documents(tokens, share, torch.bfloat16)
    finally:
        use_flash_attention(False, CUDA)


@pytest.mark.parametrize("dtype", BOUND)
def test_attention_of_rows_of_one_document(dtype: torch.dtype) -> None:
    ours = inputs(512, dtype)
    exact = [t.detach().double() for t in ours]
    expected = formula(*exact, torch.zeros(2, 512, dtype=torch.long, device=CUDA))
    assert error(causal_attention(*ours, None), expected) < BOUND[dtype]


@pytest.mark.parametrize("rank", [0, 1])
def test_attention_of_a_context_parallel_rank(rank: int) -> None:
    tokens = 512
    document, (q, k, v) = documents(tokens, 0.01), inputs(tokens, torch.float32)
    held = local_positions(tokens, 2, rank).to(CUDA)
    result = context_attention(q[:, held], k, v, context_packing(document, held))
    expected = formula(q[:, held].double(), k.double(), v.double(), document, held)
    assert error(result, expected) < BOUND[torch.float32]


@pytest.mark.parametrize("dtype", BOUND)
def test_attention_with_a_cache(dtype: torch.dtype) -> None:
    """Token by token after a prompt, rows padded on the left."""
    q, k, v = (t.detach() for t in inputs(40, dtype))
    document = torch.zeros(2, 40, dtype=torch.long, device=CUDA)
    document[1, :7] = -1
    cache, parts = Cache(), []
    for new in (slice(0, 32), *(slice(place, place + 1) for place in range(32, 40))):
        mask = cache.mask(document[:, new])
        keys, values = cache.extend(0, k[:, new], v[:, new])
        parts.append(cached_attention(q[:, new], keys, values, mask))
    expected = formula(q.double(), k.double(), v.double(), document)
    assert error(torch.cat(parts, dim=1), expected) < BOUND[dtype]


@pytest.mark.parametrize("dtype", BOUND)
def test_cross_entropy(dtype: torch.dtype) -> None:
    generator = torch.Generator(CUDA).manual_seed(1)
    logits = (4 * torch.randn(3, 700, 5003, generator=generator, device=CUDA)).to(dtype).requires_grad_()
    targets = torch.randint(0, 5003, (3, 700), generator=generator, device=CUDA)
    targets[torch.rand(3, 700, generator=generator, device=CUDA) < 0.1] = IGNORED
    exact = logits.detach().double().requires_grad_()
    losses = token_losses(None)(logits, targets)
    expected = F.cross_entropy(exact.flatten(0, 1), targets.flatten(), ignore_index=IGNORED, reduction="none")
    (losses.sum() / 100).backward()
    (expected.sum() / 100).backward()
    # Losses are in float32 whatever the logits are; their gradient has the logits' type.
    assert error(losses.flatten(), expected) < BOUND[torch.float32]
    assert error(logits.grad, exact.grad) < (4e-3 if dtype is torch.bfloat16 else BOUND[dtype])


@pytest.mark.parametrize("dtype", BOUND)
def test_a_head_in_pieces(dtype: torch.dtype) -> None:
    """Losses and gradients of pieces of the vocabulary, the last of another width, beside float64."""
    generator = torch.Generator(CUDA).manual_seed(1)
    hidden, weight = (torch.randn(2, n, 64, generator=generator, device=CUDA).to(dtype) for n in (300, 1000))
    targets = torch.randint(0, 1000, (2, 300), generator=generator, device=CUDA)
    targets[1, 50:90] = IGNORED
    ours = [hidden.requires_grad_(), weight[0].clone().requires_grad_()]
    exact = [one.detach().double().requires_grad_() for one in ours]
    losses = token_losses(None).of_hidden(*ours, targets, 3)
    logits = (exact[0] @ exact[1].T).flatten(0, 1)
    expected = F.cross_entropy(logits, targets.flatten(), ignore_index=IGNORED, reduction="none")
    losses.sum().backward()
    expected.sum().backward()
    found = [error(losses.flatten(), expected), *(error(a.grad, b.grad) for a, b in zip(ours, exact, strict=True))]
    assert max(found) < BOUND[dtype], found


def test_float8_products_are_those_that_a_cpu_emulates() -> None:
    """Outputs and gradients of one block's linear layers, which on a GPU multiply in float8 itself."""
    pytest.importorskip("torchao")
    if torch.cuda.get_device_capability() < CAPABILITY:
        pytest.skip("needs compute capability 8.9")
    recipe = load_recipe("quickstart", ["model.num_hidden_layers=1"])
    here, there = (Llama(recipe.model).bfloat16() for _ in range(2))
    there.load_state_dict(here.state_dict())
    use_float8(here, torch.device("cpu"))
    use_float8(there.to(CUDA), CUDA)
    x = torch.randn(256, recipe.model.hidden_size).bfloat16()
    found = []
    for model in (here, there):
        mlp = model.layers["0"].get_submodule("mlp")
        own = x.detach().to(next(mlp.parameters()).device).requires_grad_()
        output = mlp(own)
        output.sum().backward()
        found.append([output, own.grad, *(one.grad for one in mlp.parameters())])
    for ours, emulated in zip(found[1], found[0], strict=True):
        assert ours is not None and emulated is not None
        assert error(ours.cpu(), emulated) < BOUND[torch.bfloat16]


def test_fused_adamw_is_adamw() -> None:
    """Three updates of the optimizer as training makes it against the formula (Loshchilov and Hutter 2019)."""
    generator = torch.Generator(CUDA).manual_seed(2)
    settings = OptimizerConfig(learning_rate=1e-2, warmup_steps=0, weight_decay=0.1)
    matrix = torch.nn.Parameter(torch.randn(300, 70, generator=generator, device=CUDA))
    vector = torch.nn.Parameter(torch.randn(300, generator=generator, device=CUDA))
    optimizer = make_optimizer({"matrix": matrix, "vector": vector}, settings)
    expected = [matrix.detach().double(), vector.detach().double()]
    moments = [(torch.zeros_like(value), torch.zeros_like(value)) for value in expected]
    for step in (1, 2, 3):
        for place, (parameter, decay) in enumerate(((matrix, settings.weight_decay), (vector, 0.0))):
            parameter.grad = torch.randn(parameter.shape, generator=generator, device=CUDA)
            gradient, (first, second) = parameter.grad.double(), moments[place]
            first.lerp_(gradient, 1 - settings.beta1)
            second.lerp_(gradient**2, 1 - settings.beta2)
            scale = (second / (1 - settings.beta2**step)).sqrt() + settings.eps
            expected[place] = expected[place] * (1 - settings.learning_rate * decay)
            expected[place] -= settings.learning_rate * first / (1 - settings.beta1**step) / scale
        optimizer.step()
    assert error(matrix, expected[0]) < 1e-6
    assert error(vector, expected[1]) < 1e-6
