"""Causal attention that never crosses a document boundary: one function, whatever the device.

Shapes: q is [rows, tokens, heads, head_width]; k and v have kv_heads heads (grouped-query attention, Ainslie et al.
2023); the result has the shape of q.
"""

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor


def document_lengths(document: Tensor | None) -> list[int] | None:
    """Lengths of the runs of equal numbers in ``document`` [rows, tokens], row by row; None if every row is one run."""
    if document is None:
        return None
    starts = torch.ones_like(document, dtype=torch.bool)
    starts[:, 1:] = document[:, 1:] != document[:, :-1]
    if int(starts.sum()) == document.shape[0]:
        return None
    places = starts.flatten().nonzero().flatten().tolist()
    return [end - start for start, end in zip(places, [*places[1:], document.numel()], strict=True)]


def causal_attention(q: Tensor, k: Tensor, v: Tensor, lengths: list[int] | None) -> Tensor:
    """Self-attention within each document of ``lengths`` (from ``document_lengths``)."""
    if lengths is None:
        return _attend(q, k, v, is_causal=True)
    if q.is_cuda:
        return _packed_attention_on_gpu(q, k, v, lengths)
    # One split of the flattened rows: its backward is one concatenation, however many documents there are.
    parts = zip(*(t.flatten(0, 1).split(lengths) for t in (q, k, v)), strict=True)
    return torch.cat([_attend(*(t.unsqueeze(0) for t in part), is_causal=True)[0] for part in parts]).view_as(q)


def _attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None, is_causal: bool = False) -> Tensor:
    q, k, v = (t.transpose(1, 2) for t in (q, k, v))
    grouped = q.shape[1] != k.shape[1]
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=is_causal, enable_gqa=grouped).transpose(
        1, 2
    )


def _packed_attention_on_gpu(q: Tensor, k: Tensor, v: Tensor, lengths: list[int]) -> Tensor:
    """All documents in one FlashAttention call (torch.nn.attention.varlen, torch ≥ 2.10). Not run without a GPU."""
    from torch.nn.attention.varlen import varlen_attn

    ends = torch.tensor(lengths, device=q.device, dtype=torch.int32).cumsum(0, dtype=torch.int32)
    offsets = F.pad(ends, (1, 0))
    repeat = q.shape[2] // k.shape[2]
    k, v = (t.repeat_interleave(repeat, dim=2) for t in (k, v))
    packed = (t.flatten(0, 1) for t in (q, k, v))
    return varlen_attn(*packed, offsets, offsets, max(lengths), max(lengths), is_causal=True).view_as(q)


@dataclass
class Cache:
    """Keys and values of the tokens seen so far, for generation.

    Prompts of different lengths share a batch by padding on the left: ``document`` tells the padding (any other number)
    from the prompt, and rotary positions are relative, so the padding changes nothing.
    """

    keys: dict[int, Tensor] = field(default_factory=dict)
    values: dict[int, Tensor] = field(default_factory=dict)
    document: Tensor | None = None

    @property
    def length(self) -> int:
        return 0 if self.document is None else self.document.shape[1]

    def extend(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Append ``k`` and ``v`` of a layer's new tokens; return those of all tokens."""
        if layer in self.keys:
            k = torch.cat([self.keys[layer], k], dim=1)
            v = torch.cat([self.values[layer], v], dim=1)
        self.keys[layer], self.values[layer] = k, v
        return k, v

    def mask(self, document: Tensor) -> Tensor:
        """Remember the documents [rows, tokens] of new tokens; return which [rows, 1, new, all] they may attend to."""
        self.document = document if self.document is None else torch.cat([self.document, document], dim=1)
        total, new = self.document.shape[1], document.shape[1]
        causal = torch.ones(new, total, dtype=torch.bool, device=document.device).tril(total - new)
        return (causal & (document[:, :, None] == self.document[:, None, :]))[:, None]


def cached_attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
    """Attention of new tokens to all tokens; ``mask`` from ``Cache.mask``."""
    return _attend(q, k, v, mask=mask)
