"""Llama 3.1 on one device: grouped-query attention, SwiGLU, RMSNorm, rotary embeddings.

Parameters carry Hugging Face's names (less the ``model.`` prefix) and its rotary convention, so weights pass between
the two unchanged. Nothing here knows of devices or parallelism; ``altiplano.parallel`` spreads a model from outside.

RMSNorm (Zhang and Sennrich 2019): x / √(mean(x²) + ε) · weight over the last dimension.
"""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from altiplano.model.attention import (
    Cache,
    Packing,
    SharedContexts,
    cached_attention,
    causal_attention,
    document_packing,
)
from altiplano.recipe.phases import RopeScaling
from altiplano.recipe.schema import ModelConfig

Rotary = tuple[Tensor, Tensor]


def rotary_frequencies(width: int, theta: float, scaling: RopeScaling | None, device: torch.device) -> Tensor:
    """Angular frequency per pair of head dimensions [width / 2] (Su et al. 2021; scaling as in Llama 3.1)."""
    frequencies = theta ** -(torch.arange(0, width, 2, dtype=torch.float64, device=device) / width)
    if scaling is None:
        return frequencies
    # Long waves are slowed by ``factor``, short ones kept, those between interpolated.
    waves = scaling.original_max_position_embeddings * frequencies / (2 * math.pi)
    blend = (waves - scaling.low_freq_factor) / (scaling.high_freq_factor - scaling.low_freq_factor)
    blend = blend.clamp(0, 1)
    return frequencies * (blend + (1 - blend) / scaling.factor)


def rotate(x: Tensor, rotary: Rotary) -> Tensor:
    """Rotate each pair (i, i + head_dim / 2) of x [rows, tokens, heads, head_dim] by its token's angle, in at least
    float32, rounded once: with cos and sin in bfloat16 the error of attention's scores is 1.65 times as large."""
    cos, sin = rotary
    # Widened inside the kernels, which otherwise would write and read float32 copies.
    return torch.addcmul(x * cos, x.roll(x.shape[-1] // 2, dims=-1), sin).to(x.dtype)


class Attention(nn.Module):
    attend = staticmethod(causal_attention)

    def __init__(self, shape: ModelConfig, layer: int):
        super().__init__()
        self.layer = layer
        self.head_dim = shape.head_dim
        self.q_proj = nn.Linear(shape.hidden_size, shape.num_attention_heads * shape.head_dim, bias=False)
        self.k_proj = nn.Linear(shape.hidden_size, shape.num_key_value_heads * shape.head_dim, bias=False)
        self.v_proj = nn.Linear(shape.hidden_size, shape.num_key_value_heads * shape.head_dim, bias=False)
        self.o_proj = nn.Linear(shape.num_attention_heads * shape.head_dim, shape.hidden_size, bias=False)

    def forward(self, x: Tensor, rotary: Rotary, packing: Packing, cache: Cache | None, mask: Tensor | None) -> Tensor:
        """x [rows, tokens, width], or [rows · tokens, width]; the result has its shape."""
        # -1, not the number of heads: under tensor parallelism each rank projects to its own heads only.
        heads = (p(x).unflatten(-1, (-1, self.head_dim)) for p in (self.q_proj, self.k_proj, self.v_proj))
        q, k, v = (one.reshape(-1, len(rotary[0]), *one.shape[-2:]) for one in heads)
        q, k = rotate(q, rotary), rotate(k, rotary)
        if cache is not None and mask is not None:
            k, v = cache.extend(self.layer, k, v)
            attended = cached_attention(q, k, v, mask)
        else:
            attended = self.attend(q, k, v, packing)
        return self.o_proj(attended.reshape(*x.shape[:-1], -1))


class MLP(nn.Module):
    """SwiGLU (Shazeer 2020): down(silu(gate(x)) * up(x))."""

    def __init__(self, shape: ModelConfig):
        super().__init__()
        self.gate_proj = nn.Linear(shape.hidden_size, shape.intermediate_size, bias=False)
        self.up_proj = nn.Linear(shape.hidden_size, shape.intermediate_size, bias=False)
        self.down_proj = nn.Linear(shape.intermediate_size, shape.hidden_size, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Block(nn.Module):
    def __init__(self, shape: ModelConfig, layer: int):
        super().__init__()
        self.input_layernorm = RMSNorm(shape.hidden_size, shape.rms_norm_eps)
        self.self_attn = Attention(shape, layer)
        self.post_attention_layernorm = RMSNorm(shape.hidden_size, shape.rms_norm_eps)
        self.mlp = MLP(shape)

    def forward(
        self,
        x: Tensor,
        rotary: Rotary,
        packing: Packing = None,
        cache: Cache | None = None,
        mask: Tensor | None = None,
    ) -> Tensor:
        x = x + self.attention(x, rotary, packing, cache, mask)
        return x + self.feed_forward(x)

    def attention(
        self, x: Tensor, rotary: Rotary, packing: Packing, cache: Cache | None, mask: Tensor | None
    ) -> Tensor:
        return self.self_attn(self.input_layernorm(x), rotary, packing, cache, mask)

    def feed_forward(self, x: Tensor) -> Tensor:
        return self.mlp(self.post_attention_layernorm(x))


class Llama(nn.Module):
    """The model, or the part of it made of ``layers`` (all by default) with the embedding and the head if asked for."""

    pack_documents = staticmethod(document_packing)

    def __init__(self, shape: ModelConfig, layers: range | None = None, first: bool = True, last: bool = True):
        super().__init__()
        self.shape = shape
        layers = range(shape.num_hidden_layers) if layers is None else layers
        self.embed_tokens = nn.Embedding(shape.vocab_size, shape.hidden_size) if first else None
        self.layers = nn.ModuleDict({str(layer): Block(shape, layer) for layer in layers})
        self.norm = RMSNorm(shape.hidden_size, shape.rms_norm_eps) if last else None
        self.lm_head = nn.Linear(shape.hidden_size, shape.vocab_size, bias=False) if last else None
        if shape.tie_word_embeddings and self.embed_tokens is not None and self.lm_head is not None:
            self.lm_head.weight = self.embed_tokens.weight

    def rotary(self, start: int, tokens: int, device: torch.device, dtype: torch.dtype) -> Rotary:
        """cos and sin [tokens, 1, head_dim] of positions start … start + tokens - 1, for x of ``dtype`` but in at least
        float32, computed in float64. sin of a pair's first element is negated: it turns the other way."""
        frequencies = rotary_frequencies(self.shape.head_dim, self.shape.rope_theta, self.shape.rope_scaling, device)
        angles = torch.arange(start, start + tokens, dtype=torch.float64, device=device)[:, None, None] * frequencies
        wide = torch.promote_types(dtype, torch.float32)
        cos, sin = angles.cos().to(wide), angles.sin().to(wide)
        return torch.cat([cos, cos], dim=-1), torch.cat([-sin, sin], dim=-1)

    def forward(
        self,
        x: Tensor,
        document: Tensor | None = None,
        cache: Cache | None = None,
        shared: SharedContexts | None = None,
        targets: Tensor | None = None,
    ) -> Tensor:
        """Tokens [rows, tokens] (or the previous part's hidden states) to logits [rows, tokens, vocabulary].

        ``document`` [rows, tokens] numbers the documents in a row; attention stays within each. With a ``cache``,
        x holds the new tokens only and the cache is extended. With ``shared``, x is one row of its segments.
        ``targets`` are for a head that was told to give their losses (altiplano.parallel.head).
        """
        tokens = x.shape[1] if document is None else document.shape[1]
        start, mask = 0, None
        if cache is not None:
            start = cache.length
            mask = cache.mask(torch.zeros_like(x) if document is None else document)
        if self.embed_tokens is not None:
            x = self.embed_tokens(x)
        rotary = self.rotary(start, tokens, x.device, x.dtype)
        packing: Packing = None if cache is not None else self.pack_documents(document, x.dtype)
        if shared is not None:
            packing, rotary = shared, (rotary[0][shared.positions], rotary[1][shared.positions])
        for block in self.layers.values():
            x = block(x, rotary, packing, cache, mask)
        if self.norm is not None:
            x = self.norm(x)
        if self.lm_head is not None and targets is not None:
            return self.lm_head(x, targets=targets)
        if self.lm_head is not None:
            x = self.lm_head(x)
            x = x.view(-1, len(rotary[0]), x.shape[-1])
        return x


class RMSNorm(nn.RMSNorm):
    """PyTorch's, but on a CPU in bfloat16 in fewer passes: there its own takes one and a half times as long."""

    def forward(self, x: Tensor) -> Tensor:
        # Only plain tensors: those that lie on several devices know their own way.
        if x.dtype is torch.bfloat16 and not x.is_cuda and type(x) is Tensor:
            return _RMSNorm.apply(x, self.weight, self.eps)
        return super().forward(x)


class _RMSNorm(torch.autograd.Function):
    """Computed in float32, rounded once. What is kept is x and one number a token."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        wide = x.to(torch.float32, copy=True)
        length = torch.linalg.vector_norm(wide, dim=-1, keepdim=True)
        scale = length.square_().div_(x.shape[-1]).add_(eps).rsqrt_()
        ctx.save_for_backward(x, weight, scale)
        return wide.mul_(scale).mul_(weight.float()).to(x.dtype)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> Any:
        """With n = x · scale: scale · (weight · upstream - n · mean(weight · upstream · n)), and Σ upstream · n."""
        x, weight, scale = ctx.saved_tensors
        normal, change = (t.to(torch.float32, copy=True) for t in (x, upstream))
        normal.mul_(scale)
        dweight = (change * normal).flatten(0, -2).sum(dim=0)
        change.mul_(weight.float())
        along = (change * normal).mean(dim=-1, keepdim=True)
        dx = change.sub_(normal.mul_(along)).mul_(scale)
        return dx.to(x.dtype), dweight.to(weight.dtype), None
