"""Who answers a prompt: the model, and three controls that cannot have memorised anything.

The fourth control is the model itself on harmless prompts about the same things.
"""

import math
from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise

import numpy as np

from altiplano.inference.generate import Row, Sampling
from altiplano.inference.language_model import LanguageModel


def model(
    served: LanguageModel,
    prompts: Sequence[str],
    tokens: int,
    seed: int,
    *,
    first: int = 0,
    greedy: Sequence[bool] = (),
) -> list[str]:
    """What the model says at the temperature it is served at; prompts too long for it lose their beginning.

    ``first``: number of the first prompt, so that a prompt is answered alike in whatever portion it is asked.
    ``greedy``: of which prompts the likeliest continuation is wanted.
    """
    room = max(1, served.context - tokens)
    rows = []
    for place, prompt in enumerate(prompts):
        temperature = 0.0 if greedy and greedy[place] else served.temperature
        sampling = Sampling(max_tokens=tokens, temperature=temperature, seed=seed * 1_000_003 + first + place)
        rows.append(Row(served.prompt(prompt, room), sampling))
    served.generate(rows)
    return [row.text for row in rows]


def too_long(served: LanguageModel, prompt: str, tokens: int) -> bool:
    """Whether the prompt loses its beginning."""
    return len(served.prompt(prompt)) > max(1, served.context - tokens)


def blank(prompts: Sequence[str]) -> list[str]:
    return [""] * len(prompts)


def echo(prompts: Sequence[str]) -> list[str]:
    return list(prompts)


class Bigram:
    """A Markov chain over the training tokens: the next token is one that followed this one somewhere."""

    def __init__(self, tokens: np.ndarray, vocabulary: int):
        self.tokens = tokens
        self.places = np.argsort(tokens[:-1], kind="stable")
        self.starts = np.searchsorted(tokens[:-1][self.places], np.arange(vocabulary + 1))

    def say(self, served: LanguageModel, prompts: Sequence[str], tokens: int, seed: int) -> list[str]:
        random = np.random.default_rng(seed)
        last = np.array([served.prompt(prompt)[-1] for prompt in prompts])
        said = np.zeros((len(prompts), tokens), np.int64)
        for step in range(tokens):
            uniform = random.random(len(prompts))
            first, count = self.starts[last], self.starts[last + 1] - self.starts[last]
            # A token that never had a follower is followed by whatever stands anywhere.
            place = np.where(
                count > 0,
                self.places[np.minimum(first + (uniform * count).astype(np.int64), len(self.places) - 1)],
                (uniform * len(self.places)).astype(np.int64),
            )
            last = said[:, step] = self.tokens[place + 1]
        return [served.tokenizer.decode(_until(row.tolist(), served.tokenizer.eos)) for row in said]

    def log_probability(self, tokens: Sequence[int]) -> float:
        """Natural logarithm, with add-one smoothing."""
        vocabulary, total = len(self.starts) - 1, 0.0
        pairs, counts = self._pairs
        for token, following in pairwise(tokens):
            place = int(np.searchsorted(pairs, token * vocabulary + following))
            known = place < len(pairs) and pairs[place] == token * vocabulary + following
            followers = int(self.starts[token + 1] - self.starts[token])
            total += math.log(((int(counts[place]) if known else 0) + 1) / (followers + vocabulary))
        return total

    @cached_property
    def _pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """Every pair of neighbours as one number, in order, and how often it stands there."""
        vocabulary = len(self.starts) - 1
        return np.unique(self.tokens[:-1].astype(np.int64) * vocabulary + self.tokens[1:], return_counts=True)


def _until(tokens: list[int], end: int) -> list[int]:
    return tokens[: tokens.index(end)] if end in tokens else tokens
