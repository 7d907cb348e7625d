"""How much a text looks as if it had been trained on: four scores of a row of tokens, higher for members.

loss: the mean log-probability (Yeom et al. 2018). min-k%: that of the least likely fifth of the tokens (Shi et al.
2024). min-k%++: the same of log-probabilities standardised by what the model expects at each place (Zhang et al. 2025,
equation 3). reference: the mean log-probability less that under a model of pairs (Carlini et al. 2022).
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch

from altiplano.inference.language_model import LanguageModel
from altiplano.inference.log_probabilities import LOGITS_AT_ONCE, device_of, head, hidden_rows

LOWEST = 0.2
"""Share of the tokens that min-k% takes."""


@torch.inference_mode()
def standardised(served: LanguageModel, rows: Sequence[np.ndarray]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Of each row of n tokens: log-probabilities [n - 1] of all but the first, and the same less their expectation
    under the model's own distribution at the place, divided by its standard deviation [n - 1]."""
    found: list[tuple[np.ndarray, np.ndarray]] = [(np.zeros(0), np.zeros(0))] * len(rows)
    chunk = max(1, LOGITS_AT_ONCE // served.model.shape.vocab_size)
    for index, hidden in hidden_rows(served.model, rows):
        targets = torch.as_tensor(rows[index], dtype=torch.int64, device=device_of(served.model))[1:]
        parts = []
        for start in range(0, len(targets), chunk):
            place = slice(start, min(start + chunk, len(targets)))
            logs = head(served.model, hidden[place]).log_softmax(-1)
            chances = logs.exp()
            own = logs.gather(-1, targets[place, None])[:, 0]
            mean = (chances * logs).sum(-1)
            variance = (chances * (logs - mean[:, None]).square()).sum(-1)
            parts.append(torch.stack([own, (own - mean) / variance.clamp_min(1e-6).sqrt()]).double().cpu().numpy())
        joined = np.concatenate(parts, axis=1) if parts else np.zeros((2, 0))
        found[index] = joined[0], joined[1]
    return found


def lowest_mean(values: np.ndarray) -> float:
    """Of the least fifth of ``values``, at least one."""
    count = max(1, int(LOWEST * len(values)))
    return float(np.sort(values)[:count].mean()) if len(values) else 0.0


def membership_scores(
    served: LanguageModel, rows: Sequence[np.ndarray], reference: Callable[[Sequence[int]], float]
) -> dict[str, np.ndarray]:
    """Each score of each row [rows]. ``reference``: the log-probability of tokens by a model that is no suspect."""
    scored = standardised(served, rows)
    mean = np.array([own.mean() if len(own) else 0.0 for own, _ in scored])
    simple = np.array([reference(row.tolist()) / max(1, len(row) - 1) for row in rows])
    return {
        "loss": mean,
        "min-k%": np.array([lowest_mean(own) for own, _ in scored]),
        "min-k%++": np.array([lowest_mean(scale) for _, scale in scored]),
        "reference": mean - simple,
    }
