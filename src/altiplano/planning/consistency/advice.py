"""Scaling advice: how large and how long for a budget, batch and learning rate as others had them."""

import math
from typing import Any

from altiplano.planning.consistency.claims import published_twin, usual
from altiplano.planning.plan import Plan
from altiplano.recipe.units import figure, human

TOKENS_PER_PARAMETER = 20.0
"""Chinchilla (Hoffmann et al. 2022, arXiv 2203.15556): parameters and tokens grow alike."""
LLAMA_FLOPS, LLAMA_TOKENS, LLAMA_EXPONENT = 3.8e25, 16.55e12, 0.53
"""Llama 3's law: 16.55T tokens for 3.8e25 FLOPs, growing with their 0.53rd power (arXiv 2407.21783, section 3.2.1)."""


def chinchilla_optimal(flops: float) -> tuple[float, float]:
    """Parameters and tokens that FLOPs are best spent on, with 6 FLOPs a parameter and token."""
    parameters = math.sqrt(flops / (6 * TOKENS_PER_PARAMETER))
    return parameters, TOKENS_PER_PARAMETER * parameters


def llama_optimal(flops: float) -> tuple[float, float]:
    """The same by Llama 3's law; its authors count FLOPs their own way and have 402B parameters at 3.8e25."""
    tokens = LLAMA_TOKENS * (flops / LLAMA_FLOPS) ** LLAMA_EXPONENT
    return flops / (6 * tokens), tokens


def loss(parameters: float, tokens: float) -> float:
    """1.69 + 406.4 / N^0.34 + 410.7 / D^0.28 nats a token of their corpus (Hoffmann et al. 2022, third approach)."""
    return float(1.69 + 406.4 / parameters**0.34 + 410.7 / tokens**0.28)


def advice(plan: Plan) -> list[dict[str, Any]]:
    shape, batch = plan.case.shape, plan.recipe.batch
    flops = 6.0 * shape.parameters * batch.total_tokens
    small, many = chinchilla_optimal(flops)
    large, few = llama_optimal(flops)
    hints: list[dict[str, Any]] = [
        {
            "key": "size",
            "chinchilla": {"parameters": small, "tokens": many},
            "llama_3": {"parameters": large, "tokens": few},
            "text": f"{figure(float(f'{flops:.2g}'))} FLOP: Chinchilla's law has {human(small)} parameters and "
            f"{human(many)} tokens, Llama 3's {human(large)} and {human(few)}; the recipe {human(shape.parameters)} "
            f"and {human(batch.total_tokens)} ({figure(batch.total_tokens / shape.parameters)} tokens a parameter). "
            "Such laws spend training alone; a model that answers often is better smaller and trained for longer, and "
            "they were fitted on other data (arXiv 2203.15556, 2407.21783)",
        }
    ]
    twin = published_twin(shape.parameters)
    for key, name, mine in (
        ("batch_tokens", "batch of tokens", float(batch.tokens)),
        ("learning_rate", "peak learning rate", plan.recipe.optimizer.learning_rate),
    ):
        value, within = usual(key, shape.parameters)
        text = f"{name} {_short(mine)}; published models of this size: about {_short(value)} (within {within:.1f} ×)"
        if twin and key in twin[1]:
            text += f"; {twin[0]} had {_short(twin[1][key])} ({twin[1]['source']})"
        hints.append({"key": key, "usual": value, "within": within, "stated": mine, "text": text})
    return hints


def _short(value: float) -> str:
    return human(float(f"{value:.3g}")) if value > 1 else figure(float(f"{value:.2g}"))
