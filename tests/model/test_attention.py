"""Attention by tiles against the plain formula, in float64 and in the bfloat16 that it is for."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from altiplano.model.attention import block_mask, causal_attention, document_packing, flex_attention
from altiplano.model.cpu_attention import TiledAttention, packed_rows, whole_rows
from altiplano.parallel.context import local_positions


def formula(q: Tensor, k: Tensor, v: Tensor, document: Tensor) -> Tensor:
    """softmax(q kᵀ / √width) v over the tokens of the same document up to one's own, written out."""
    k, v = (t.repeat_interleave(q.shape[2] // t.shape[2], dim=2) for t in (k, v))
    scores = torch.einsum("bqhw,bkhw->bhqk", q, k) / q.shape[-1] ** 0.5
    allowed = (document[:, :, None] == document[:, None, :]).tril()
    return torch.einsum("bhqk,bkhw->bqhw", scores.masked_fill(~allowed[:, None], -torch.inf).softmax(-1), v)


def heads(rows: int, tokens: int, width: int, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(5)
    q, k, v = (torch.randn(rows, tokens, n, width, generator=generator, dtype=dtype) for n in (4, 2, 2))
    return q.requires_grad_(), k.requires_grad_(), v.requires_grad_()


def documents(rows: int, tokens: int) -> Tensor:
    generator = torch.Generator().manual_seed(6)
    document = (torch.rand(rows, tokens, generator=generator) < 0.1).long().cumsum(1)
    document[0] = 0  # one row is a single document
    return document


@pytest.mark.parametrize("kept", [0, 1024])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(("rows", "tokens", "size"), [(3, 23, 4), (2, 16, 16), (2, 9, 64), (5, 700, 128)])
def test_tiles_equal_the_formula(
    kept: int, packed: bool, rows: int, tokens: int, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("altiplano.model.cpu_attention.KEPT_TOKENS", kept)
    document = documents(rows, tokens) if packed else torch.zeros(rows, tokens, dtype=torch.long)
    tiles = packed_rows(document, torch.float64, size) if packed else whole_rows(rows, tokens, torch.float64, size)
    ours, reference = heads(rows, tokens, 8, torch.float64), heads(rows, tokens, 8, torch.float64)
    result, expected = TiledAttention.apply(*ours, tiles), formula(*reference, document)
    torch.testing.assert_close(result, expected, rtol=1e-10, atol=1e-12)
    change = torch.sin(torch.arange(expected.numel(), dtype=torch.float64)).view_as(expected)
    (result * change).sum().backward()
    (expected * change).sum().backward()
    for mine, theirs in zip(ours, reference, strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad, rtol=1e-9, atol=1e-11)


def test_the_gradient_is_that_of_the_tiles() -> None:
    tiles = packed_rows(documents(2, 11), torch.float64, size=4)
    assert torch.autograd.gradcheck(
        lambda q, k, v: TiledAttention.apply(q, k, v, tiles), heads(2, 11, 4, torch.float64)
    )


@pytest.mark.parametrize("packed", [False, True])
def test_bfloat16_is_as_exact_as_bfloat16_allows(packed: bool) -> None:
    """Scores are rounded to 8 bits: within 1 % in norm, outputs and gradients, of float64."""
    document = documents(2, 300) if packed else torch.zeros(2, 300, dtype=torch.long)
    rounded = heads(2, 300, 16, torch.bfloat16)
    exact = [t.detach().double().requires_grad_() for t in rounded]
    result = causal_attention(*rounded, document_packing(document, torch.bfloat16))
    expected = causal_attention(*exact, document_packing(document, torch.float64))
    assert result.dtype == torch.bfloat16
    for outcome, truth in (
        (result, expected),
        *zip(gradients(result, rounded), gradients(expected, exact), strict=True),
    ):
        assert (outcome.double() - truth).norm() < 0.01 * truth.norm()


def gradients(result: Tensor, inputs: list[Tensor] | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    change = torch.cos(torch.arange(result.numel(), dtype=torch.float64)).view_as(result).to(result.dtype)
    return torch.autograd.grad(result, inputs, change)


def test_tiles_look_at_no_key_before_their_documents() -> None:
    document = torch.tensor([[0] * 6 + [1] * 6 + [2] * 4])
    tiles = packed_rows(document, torch.bfloat16, size=4)
    assert [(tile.queries.start, tile.first_key) for tile in tiles] == [(0, 0), (4, 0), (8, 6), (12, 12)]


def test_recomputed_tiles_are_the_same_bits() -> None:
    from torch.utils.checkpoint import checkpoint

    inputs, packing = heads(2, 200, 16, torch.bfloat16), document_packing(documents(2, 200), torch.bfloat16)
    once = causal_attention(*inputs, packing)
    twice = checkpoint(causal_attention, *inputs, packing, use_reentrant=False)
    for one, other in zip(gradients(once, inputs), gradients(twice, inputs), strict=True):
        assert torch.equal(one, other)


@settings(max_examples=40)
@given(
    tokens=st.integers(1, 700),
    boundaries=st.lists(st.integers(0, 699), max_size=12),
    ranks=st.sampled_from([None, 1, 2]),
    data=st.data(),
)
def test_blocks_of_the_gpu_mask_are_those_of_every_score(
    tokens: int, boundaries: list[int], ranks: int | None, data: st.DataObject
) -> None:
    """Against PyTorch's own mask, made from every score: the blocks to compute, and those that need no mask."""
    from torch.nn.attention.flex_attention import create_block_mask

    tokens += -tokens % (2 * (ranks or 1))
    starts = torch.zeros(2, tokens, dtype=torch.long)
    starts[0, [place for place in boundaries if place < tokens]] = 1
    document = starts.cumsum(1)
    places = None if ranks is None else local_positions(tokens, ranks, data.draw(st.integers(0, ranks - 1)))
    at = torch.arange(tokens) if places is None else places

    def allowed(row: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        return (at[query] >= key) & (document[row, at[query]] == document[row, key])

    mask, reference = block_mask(document, places), create_block_mask(allowed, 2, None, len(at), tokens, device="cpu")
    assert mask.seq_lengths == reference.seq_lengths
    computed, needed = mask.to_dense().bool(), reference.to_dense().bool()
    # Where a block holds two pieces of a row, it may be computed although each piece alone would be empty.
    assert not (needed & ~computed).any()
    if ranks in (None, 1):
        assert torch.equal(computed, needed)
    assert torch.equal(mask.full_kv_num_blocks, reference.full_kv_num_blocks)
    assert torch.equal(_full(mask), _full(reference))
    for row, query, key in torch.randint(0, tokens, (50, 3)).tolist():
        index = [torch.tensor(value) for value in (row % 2, 0, query % len(at), key)]
        assert mask.mask_mod(*index) == allowed(*index)


def test_float64_has_no_flex_kernel_and_is_attended_all_the_same() -> None:
    document, ours, reference = documents(2, 150), heads(2, 150, 16, torch.float64), heads(2, 150, 16, torch.float64)
    result, expected = flex_attention(*ours, block_mask(document)), formula(*reference, document)
    torch.testing.assert_close(result, expected, rtol=1e-10, atol=1e-12)
    result.sum().backward()
    expected.sum().backward()
    for mine, theirs in zip(ours, reference, strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad, rtol=1e-9, atol=1e-11)


def _full(mask: Any) -> Tensor:
    """Blocks that need no mask [rows, 1, queries, keys]."""
    chosen = torch.zeros_like(mask.full_kv_indices, dtype=torch.bool)
    first = torch.arange(chosen.shape[-1]) < mask.full_kv_num_blocks[..., None]
    return chosen.scatter(-1, mask.full_kv_indices.long(), first)
