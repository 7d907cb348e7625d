"""Text that must not be trained on, of a forbidden licence or opted out: was it, all the same?

Its documents are compared with others of the same kind that were certainly not trained on: how much of them stands in
the training text word for word, and how well the model predicts them beyond what it expects to (the standardised
log-probabilities of min-k%++, over all tokens). Whole documents are permuted.
"""

from collections.abc import Sequence

import numpy as np

from altiplano.inference.language_model import LanguageModel
from altiplano.redteam.training_data.evidence import Evidence, two_sample_p
from altiplano.redteam.training_data.verbatim import WINDOW, TrainingIndex


def forbidden_text(
    served: LanguageModel, forbidden: Sequence[str], comparison: Sequence[str], index: TrainingIndex, seed: int
) -> Evidence:
    rows = [served.prompt(text)[: served.context] for text in (*forbidden, *comparison)]
    known = np.array([scale.mean() for _, scale in served.standardised([np.array(row) for row in rows])])
    shares = np.array([index.share(row[1:]) for row in rows])
    count = len(forbidden)
    threshold = np.quantile(known[count:], 0.99)
    return Evidence(
        "forbidden text",
        "a forbidden document is better known than all but 1 % of those never trained on",
        two_sample_p(known[:count], known[count:], seed),
        (known[:count] > threshold).tolist(),
        (known[count:] > threshold).tolist(),
        f"{shares[:count].mean():.0%} of it stands in the training text in runs of {WINDOW} tokens, of the comparison "
        f"{shares[count:].mean():.0%}",
    )
