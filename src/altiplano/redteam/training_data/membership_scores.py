"""How much a text looks as if it had been trained on: four scores of a row of tokens, higher for members.

loss: the mean log-probability (Yeom et al. 2018). min-k%: that of the least likely fifth of the tokens (Shi et al.
2024). min-k%++: the same of log-probabilities standardised by what the model expects at each place (Zhang et al. 2025,
equation 3). reference: the mean log-probability less that under a model of pairs (Carlini et al. 2022).
"""

from collections.abc import Callable, Sequence

import numpy as np

from altiplano.inference.language_model import LanguageModel

LOWEST = 0.2
"""Share of the tokens that min-k% takes."""


def lowest_mean(values: np.ndarray) -> float:
    """Of the least fifth of ``values``, at least one."""
    count = max(1, int(LOWEST * len(values)))
    return float(np.sort(values)[:count].mean()) if len(values) else 0.0


def membership_scores(
    served: LanguageModel, rows: Sequence[np.ndarray], reference: Callable[[Sequence[int]], float]
) -> dict[str, np.ndarray]:
    """Each score of each row [rows]. ``reference``: the log-probability of tokens by a model that is no suspect."""
    scored = served.standardised(rows)
    mean = np.array([own.mean() if len(own) else 0.0 for own, _ in scored])
    simple = np.array([reference(row.tolist()) / max(1, len(row) - 1) for row in rows])
    return {
        "loss": mean,
        "min-k%": np.array([lowest_mean(own) for own, _ in scored]),
        "min-k%++": np.array([lowest_mean(scale) for _, scale in scored]),
        "reference": mean - simple,
    }
