"""Context parallelism's two masks: the one for CPUs is under contract; FlexAttention's must mean the same."""

import pytest
import torch

from altiplano.model.attention import block_mask, causal_attention, document_packing
from altiplano.parallel.context import _chunk_masks, context_attention, local_positions

ROWS, TOKENS, HEADS, KV_HEADS, WIDTH = 2, 256, 4, 2, 16


def test_ranks_hold_every_place_once_with_equal_work() -> None:
    held = [local_positions(48, 4, rank) for rank in range(4)]
    assert sorted(torch.cat(held).tolist()) == list(range(48))
    # The keys that a query attends to are as many as its place, from 1.
    assert len({int((places + 1).sum()) for places in held}) == 1
    assert local_positions(48, 1, 0).tolist() == list(range(48))


@pytest.mark.parametrize("rank", [0, 1])
def test_both_masks_give_whole_rows_attention(rank: int) -> None:
    from torch.nn.attention.flex_attention import flex_attention

    generator = torch.Generator().manual_seed(0)
    q = torch.randn(ROWS, TOKENS, HEADS, WIDTH, generator=generator)
    k, v = torch.randn(2, ROWS, TOKENS, KV_HEADS, WIDTH, generator=generator)
    document = (torch.rand(ROWS, TOKENS, generator=generator) < 0.05).long().cumsum(dim=1)
    here = local_positions(TOKENS, 2, rank)
    expected = causal_attention(q, k, v, document_packing(document, q.dtype))[:, here]
    chunks = context_attention(q[:, here], k, v, _chunk_masks(document, here))
    torch.testing.assert_close(chunks, expected)
    with torch.no_grad():  # on a CPU it has no backward pass
        queries, keys, values = (tensor.transpose(1, 2) for tensor in (q[:, here], k, v))
        flex = flex_attention(queries, keys, values, block_mask=block_mask(document, here), enable_gqa=True)
    torch.testing.assert_close(flex.transpose(1, 2), expected)
