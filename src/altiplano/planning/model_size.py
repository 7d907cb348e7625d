"""A dense decoder's shape as the planner counts it: Llama's, and the older GPT kind that many published runs have.

Parameters and floating-point operations of a model, from its shape alone.
"""

from dataclasses import dataclass
from functools import cached_property

from altiplano.recipe.schema import ModelConfig


@dataclass(frozen=True)
class Shape:
    """Widths in elements. ``gated``: SwiGLU, three matrices, else two. ``positions``: learned position embeddings."""

    num_hidden_layers: int
    hidden_size: int
    num_attention_heads: int
    num_key_value_heads: int
    intermediate_size: int
    vocab_size: int
    gated: bool = True
    tied: bool = False
    biased: bool = False
    """LayerNorm with a bias and biases on every matrix (GPT-3), else RMSNorm and none."""
    positions: int = 0

    @property
    def tie_word_embeddings(self) -> bool:
        return self.tied

    @cached_property
    def head_dim(self) -> int:
        return self.hidden_size // self.num_attention_heads

    @cached_property
    def query_width(self) -> int:
        return self.num_attention_heads * self.head_dim

    @cached_property
    def kv_width(self) -> int:
        return self.num_key_value_heads * self.head_dim

    @cached_property
    def layer_matrices(self) -> int:
        """Weights that multiply an activation in one layer."""
        attention = 2 * self.hidden_size * (self.query_width + self.kv_width)
        return attention + (3 if self.gated else 2) * self.hidden_size * self.intermediate_size

    @cached_property
    def layer_vectors(self) -> int:
        """Norms and biases of one layer, which tensor-parallel ranks mostly hold whole."""
        if not self.biased:
            return 2 * self.hidden_size
        return (
            4 * self.hidden_size + self.query_width + 2 * self.kv_width + 2 * self.hidden_size + self.intermediate_size
        )

    @cached_property
    def embedding(self) -> int:
        return self.vocab_size * self.hidden_size

    @cached_property
    def parameters(self) -> int:
        outside = self.embedding * (1 if self.tied else 2) + self.positions * self.hidden_size
        norm = 2 * self.hidden_size if self.biased else self.hidden_size
        return self.num_hidden_layers * (self.layer_matrices + self.layer_vectors) + outside + norm

    def forward_flops_per_token(self, sequence: int, causal: bool = True) -> float:
        """As ``training_flops_per_token``: 2 for each weight, and attention's scores and their use, half if causal."""
        matrices = self.num_hidden_layers * self.layer_matrices + self.embedding
        attention = self.num_hidden_layers * 4 * sequence * self.query_width * (0.5 if causal else 1.0)
        return 2 * matrices + attention

    def training_flops_per_token(self, sequence: int, causal: bool = True) -> float:
        return 3 * self.forward_flops_per_token(sequence, causal)


def shape_of(model: ModelConfig) -> Shape:
    """The recipe's model; a test holds both countings together."""
    return Shape(
        model.num_hidden_layers,
        model.hidden_size,
        model.num_attention_heads,
        model.num_key_value_heads,
        model.intermediate_size,
        model.vocab_size,
        tied=model.tie_word_embeddings,
    )


def parameters(model: ModelConfig) -> int:
    """Exact number of parameters: 405,853,388,800 for Llama-3.1-405B."""
    return shape_of(model).parameters


def training_flops_per_token(model: ModelConfig, sequence: int, causal: bool = True) -> float:
    """Forward and backward FLOPs per token: 2 per weight forward, twice that backward, none for the embedding.

    Attention scores and their use cost 4 · sequence · heads · head_dim per layer; ``causal`` counts the half that
    causal attention needs (the convention of Megatron-Bridge 2025 on), otherwise all of it (older Megatron, PaLM).
    Recomputation is never counted (model FLOPs, as in Chowdhery et al. 2022, appendix B).
    """
    return shape_of(model).training_flops_per_token(sequence, causal)
