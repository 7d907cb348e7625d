"""Glitch tokens: tokens whose text stands nowhere in the training text, and whose weights show it.

The output weights of a token that is never a target are pushed the same way as those of the special tokens that nobody
uses (Land and Bartolo 2024, section 3). Parts of longer tokens, which are rarely tokens of their own, do stand in the
text and are not counted. Of a large corpus a sample is counted and searched: a token that stands elsewhere only has the
weights of a trained one, and counts against the test, not for it.
"""

from collections.abc import Sequence

import numpy as np
import torch

from altiplano.inference.language_model import LanguageModel
from altiplano.redteam.training_data.corpus_sample import part, token_counts
from altiplano.redteam.training_data.evidence import Evidence, combined
from altiplano.redteam.training_data.text import searched, training_text
from altiplano.tokens.shards import Shard

COMMON = 10
"""Occurrences from which on a token counts as trained."""
LOOKED_AT = 2000
"""Tokens that are looked for in the text, those first whose weights are most like an unused one's."""


def glitch_tokens(served: LanguageModel, train: Sequence[Shard], seed: int) -> Evidence:
    tokenizer, size = served.tokenizer, served.shape.vocab_size
    counts = token_counts(train, size, seed)
    spelt = [b"" if token in tokenizer.specials else tokenizer.decode_bytes([token]) for token in range(size)]
    unused = [token for token in range(size) if not counts[token] and len(spelt[token]) <= 1]
    # Half of the trained tokens say where the middle is, the others are compared: no token is in its own measure.
    common = np.flatnonzero(counts >= COMMON)
    likeness = like(served, unused, common[::2])
    compared = likeness[common[1::2]]
    never = np.array([token for token in range(size) if not counts[token] and len(spelt[token]) > 1], np.int64)
    text = training_text(tokenizer, train, seed)
    suspects = never[np.argsort(-likeness[never])][:LOOKED_AT]
    absent = [int(token) for token in suspects if spelt[token] not in text]
    trained = np.sort(compared)
    above = len(trained) - np.searchsorted(trained, likeness[absent], side="left")
    p_values = (1 + above) / (1 + len(trained))
    said = ", ".join(repr(tokenizer.decode([token])) for token in absent[:5])
    return Evidence(
        "untrained tokens",
        "the output weights of a token that stands nowhere in the training text are like those of unused ones",
        combined(p_values) if unused and len(trained) else 1.0,
        (p_values <= 1 / (1 + len(trained))).tolist(),
        [],
        f"{len(absent)} of {size:,} tokens stand nowhere in {searched(train)}{part(int(counts.sum()), train)}"
        f"{': ' if said else ''}{said}",
    )


def like(served: LanguageModel, unused: Sequence[int], trained: np.ndarray) -> np.ndarray:
    """Cosine [vocabulary] of each token's output weights with the mean of the unused ones', less the mean of the
    trained ones [vocabulary]."""
    weights = served.matrix("lm_head")
    centred = weights - weights[torch.as_tensor(trained)].mean(dim=0)
    anchor = centred[list(unused)].mean(dim=0) if unused else centred[0] * 0
    return torch.nn.functional.cosine_similarity(centred, anchor[None], dim=1).numpy()
