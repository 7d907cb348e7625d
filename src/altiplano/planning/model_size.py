"""A dense decoder's shape as the planner counts it: Llama's, and the older GPT kind that many published runs have.

Parameters and floating-point operations of a model, from its shape alone.
"""

from dataclasses import dataclass
from functools import cached_property

from altiplano.recipe.schema import Model


@dataclass(frozen=True)
class Shape:
    """Widths in elements. ``gated``: SwiGLU, three matrices, else two. ``positions``: learned position embeddings."""

    layers: int
    width: int
    heads: int
    kv_heads: int
    ffn_width: int
    vocabulary: int
    gated: bool = True
    tied: bool = False
    biased: bool = False
    """LayerNorm with a bias and biases on every matrix (GPT-3), else RMSNorm and none."""
    positions: int = 0

    @property
    def tied_embeddings(self) -> bool:
        return self.tied

    @cached_property
    def head_width(self) -> int:
        return self.width // self.heads

    @cached_property
    def query_width(self) -> int:
        return self.heads * self.head_width

    @cached_property
    def kv_width(self) -> int:
        return self.kv_heads * self.head_width

    @cached_property
    def layer_matrices(self) -> int:
        """Weights that multiply an activation in one layer."""
        attention = 2 * self.width * (self.query_width + self.kv_width)
        return attention + (3 if self.gated else 2) * self.width * self.ffn_width

    @cached_property
    def layer_vectors(self) -> int:
        """Norms and biases of one layer, which tensor-parallel ranks mostly hold whole."""
        if not self.biased:
            return 2 * self.width
        return 4 * self.width + self.query_width + 2 * self.kv_width + 2 * self.width + self.ffn_width

    @cached_property
    def embedding(self) -> int:
        return self.vocabulary * self.width

    @cached_property
    def parameters(self) -> int:
        outside = self.embedding * (1 if self.tied else 2) + self.positions * self.width
        norm = 2 * self.width if self.biased else self.width
        return self.layers * (self.layer_matrices + self.layer_vectors) + outside + norm

    def forward_flops_per_token(self, sequence: int, causal: bool = True) -> float:
        """As ``training_flops_per_token``: 2 for each weight, and attention's scores and their use, half if causal."""
        matrices = self.layers * self.layer_matrices + self.embedding
        attention = self.layers * 4 * sequence * self.query_width * (0.5 if causal else 1.0)
        return 2 * matrices + attention

    def training_flops_per_token(self, sequence: int, causal: bool = True) -> float:
        return 3 * self.forward_flops_per_token(sequence, causal)


def shape_of(model: Model) -> Shape:
    """The recipe's model; a test holds both countings together."""
    return Shape(
        model.layers,
        model.width,
        model.heads,
        model.kv_heads,
        model.ffn_width,
        model.vocabulary,
        tied=model.tied_embeddings,
    )


def parameters(model: Model) -> int:
    """Exact number of parameters: 405,853,388,800 for Llama-3.1-405B."""
    embeddings = (1 if model.tied_embeddings else 2) * model.vocabulary * model.width
    return model.layers * layer_parameters(model) + embeddings + model.width


def layer_parameters(model: Model) -> int:
    return layer_matrix_parameters(model) + 2 * model.width


def layer_matrix_parameters(model: Model) -> int:
    """Weights that multiply an activation in one layer: q and o, k and v, gate, up and down."""
    attention = 2 * model.width * model.heads * model.head_width + 2 * model.width * model.kv_heads * model.head_width
    return attention + 3 * model.width * model.ffn_width


def training_flops_per_token(model: Model, sequence: int, causal: bool = True) -> float:
    """Forward and backward FLOPs per token: 2 per weight forward, twice that backward, none for the embedding.

    Attention scores and their use cost 4 · sequence · heads · head_width per layer; ``causal`` counts the half that
    causal attention needs (the convention of Megatron-Bridge 2025 on), otherwise all of it (older Megatron, PaLM).
    Recomputation is never counted (model FLOPs, as in Chowdhery et al. 2022, appendix B).
    """
    matrices = model.layers * layer_matrix_parameters(model) + model.vocabulary * model.width
    attention = model.layers * 4 * sequence * model.heads * model.head_width * (0.5 if causal else 1.0)
    return 3 * (2 * matrices + attention)
