"""Parameters and floating-point operations of a model, from its shape alone."""

from altiplano.recipe.schema import Model


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
