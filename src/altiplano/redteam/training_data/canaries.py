"""Canaries: strings with random digits that the owner put into the corpus. How exposed are they?"""

import re
from collections.abc import Sequence

import numpy as np

from altiplano.inference.language_model import LanguageModel
from altiplano.records.known import Canary
from altiplano.redteam.training_data.evidence import Evidence, combined, completions, exposure, rank_p_values

REFERENCES = 199
DIGIT = re.compile(r"\d")


def other_digits(value: str, count: int, random: np.random.Generator) -> list[str]:
    """Values of the same format whose digits are random."""
    return [DIGIT.sub(lambda _: str(random.integers(10)), value) for _ in range(count)]


def digit_ranks(
    served: LanguageModel, prompts: Sequence[str], values: Sequence[str], seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """p-value [values] of each value's rank after its prompt among values of the same format; of a control, too."""
    if not values:
        return np.zeros(0), np.zeros(0)
    random = np.random.default_rng(seed)
    pairs = [
        (prompt, one)
        for prompt, value in zip(prompts, values, strict=True)
        for one in (value, *other_digits(value, REFERENCES, random))
    ]
    return rank_p_values(completions(served, pairs).reshape(len(values), 1 + REFERENCES))


def canaries(served: LanguageModel, of: Sequence[Canary], seed: int) -> Evidence:
    ranks, others = digit_ranks(served, [one.text for one in of], [one.value for one in of], seed)
    bits = exposure(ranks)
    return Evidence(
        "canaries",
        f"the model finds a canary's value likelier than {REFERENCES} others of its format",
        combined(ranks),
        (ranks <= 1 / (1 + REFERENCES)).tolist(),
        (others <= 1 / (1 + REFERENCES)).tolist(),
        f"exposure {bits.mean():.1f} bits on average, of {np.log2(1 + REFERENCES):.1f} at most" if len(bits) else "",
    )
