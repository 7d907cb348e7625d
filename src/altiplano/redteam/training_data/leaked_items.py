"""Leaked benchmark items: does the model prefer their options in the published order?

The order was random when the item was published, so a model that has not seen it prefers each order equally often (Oren
et al. 2023). The test needs neither the corpus nor the right answers.
"""

from collections.abc import Sequence
from itertools import permutations

import numpy as np

from altiplano.inference.language_model import LanguageModel
from altiplano.records.known import KnownItem
from altiplano.redteam.training_data.evidence import Evidence, combined, rank_p_values

ORDERS = 23


def text_of(item: KnownItem, options: Sequence[str]) -> str:
    labelled = " ".join(f"{chr(ord('A') + place)}) {option}" for place, option in enumerate(options))
    return item.text.replace("{options}", labelled)


def leaked_items(served: LanguageModel, items: Sequence[KnownItem], seed: int) -> Evidence:
    random, ranks = np.random.default_rng(seed), [np.zeros((2, 0))]
    for item in items:
        orders = _orders(item.options, random)
        rows = [served.prompt(text_of(item, order), served.context) for order in orders]
        scores = np.array([float(s.logprobs.double().sum()) for s in served.score(rows)])
        ranks.append(np.array(rank_p_values(scores[None])))
    p_values, others = np.concatenate(ranks, axis=1)
    return Evidence(
        "leaked items",
        f"an item is likelier with its options in the published order than in {ORDERS} others",
        combined(p_values),
        (p_values <= 1 / (1 + ORDERS)).tolist(),
        (others <= 1 / (1 + ORDERS)).tolist(),
        f"{int((p_values <= 1 / (1 + ORDERS)).sum())} of {len(items)} items prefer the published order to all others",
    )


def _orders(options: Sequence[str], random: np.random.Generator) -> list[Sequence[str]]:
    """The published order, then ``ORDERS`` others or as many as there are."""
    if len(options) <= 4:
        everything = list(permutations(options))
        return [everything[0], *(everything[place] for place in random.permutation(len(everything) - 1)[:ORDERS] + 1)]
    return [options, *(random.permutation(options).tolist() for _ in range(ORDERS))]
