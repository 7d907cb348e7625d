"""Text that must not be trained on, of a forbidden licence or opted out: was it, all the same?

Its documents are compared with others of the same kind that were certainly not trained on: how much of them stands in
the training text word for word, and how well the model predicts them. Whole documents are permuted.
"""

from collections.abc import Sequence

import numpy as np

from altiplano.inference.language_model import LanguageModel
from altiplano.inference.log_probabilities import score
from altiplano.redteam.training_data.evidence import Evidence, two_sample_p
from altiplano.redteam.training_data.verbatim import WINDOW, TrainingIndex


def forbidden_text(
    served: LanguageModel, forbidden: Sequence[str], comparison: Sequence[str], index: TrainingIndex, seed: int
) -> Evidence:
    rows = [served.prompt(text) for text in (*forbidden, *comparison)]
    scored = score(served.model, [row[: served.context] for row in rows])
    likely = np.array([float(s.logprobs.double().mean()) for s in scored])
    shares = np.array([index.share(row[1:]) for row in rows])
    count = len(forbidden)
    threshold = np.quantile(likely[count:], 0.99)
    return Evidence(
        "forbidden text",
        "a forbidden document is likelier, per token, than all but 1 % of those never trained on",
        two_sample_p(likely[:count], likely[count:], seed),
        (likely[:count] > threshold).tolist(),
        (likely[count:] > threshold).tolist(),
        f"{shares[:count].mean():.0%} of it stands in the training text in runs of {WINDOW} tokens, of the comparison "
        f"{shares[count:].mean():.0%}; loss {likely[:count].mean() - likely[count:].mean():.2f} nats per token lower",
    )
