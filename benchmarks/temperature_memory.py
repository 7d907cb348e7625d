"""Peak memory of the token temperature's fit at a large vocabulary.

    python benchmarks/temperature_memory.py [--tokens 8192] [--hidden-size 1024] [--vocabulary 128256] [--limit-gib 2]

Documents of 32 tokens in two domains, with hidden states and an output matrix at random; labels are drawn from the
model sharpened by 1.5, so that the fit must find T = 1.5 within its interval. Everything that ``altiplano calibrate``
does with one half of the held-out text runs here: the fit, its interval, the temperature of each domain, and the
judgement at two temperatures. Prints one JSON line: the process' peak resident memory, with the output matrix, the
hidden states and PyTorch itself in it. Exit status 1 above the limit, or when T is not found.
"""

import argparse
import json
import resource
import sys
import time

import torch

from altiplano.calibration.predictions import HiddenStates
from altiplano.calibration.temperature import fit, of_each

DOCUMENT, SHARPENING = 32, 1.5
GIB = 2**30


def predictions(tokens: int, hidden: int, head: torch.Tensor) -> HiddenStates:
    """Labels of softmax(states · head / 1.5), drawn without a matrix of all tokens' logits."""
    random = torch.Generator().manual_seed(1)
    states = torch.randn(tokens, hidden, generator=random)
    targets = torch.empty(tokens, dtype=torch.int64)
    for start in range(0, tokens, 32):
        logits = states[start : start + 32] @ head.T / SHARPENING
        targets[start : start + 32] = torch.multinomial(logits.softmax(-1), 1, generator=random)[:, 0]
    document = torch.arange(tokens) // DOCUMENT
    count = int(document[-1]) + 1
    return HiddenStates(
        states, targets, document, ["web.en"] * (count // 2) + ["code.code"] * (count - count // 2), head
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, default=8192)
    parser.add_argument("--hidden-size", type=int, default=1024)
    parser.add_argument("--vocabulary", type=int, default=128_256)
    parser.add_argument("--limit-gib", type=float, default=2.0)
    options = parser.parse_args()
    random = torch.Generator().manual_seed(0)
    head = torch.randn(options.vocabulary, options.hidden_size, generator=random)
    head *= 4 / options.hidden_size**0.5  # logits with a standard deviation of 4
    given = predictions(options.tokens, options.hidden_size, head)
    before, began = peak(), time.monotonic()
    found, minimum = fit(given, seed=0, bootstrap_samples=200)
    of_each(given, [group.split(".")[0] for group in given.groups], minimum)
    given.judge([1.0, found.value])
    line = {
        "tokens": options.tokens,
        "hidden_size": options.hidden_size,
        "vocabulary": options.vocabulary,
        "peak_gib": round(peak() / GIB, 3),
        "before_gib": round(before / GIB, 3),
        "matrix_gib": round(head.nbytes / GIB, 3),
        "states_gib": round(given.hidden.nbytes / GIB, 3),
        "logits_of_all_gib": round(options.tokens * options.vocabulary * 4 / GIB, 3),
        "seconds": round(time.monotonic() - began, 1),
        "temperature": round(found.value, 4),
        "interval": [round(found.low, 4), round(found.high, 4)],
    }
    print(json.dumps(line))
    return 0 if peak() <= options.limit_gib * GIB and found.low < SHARPENING < found.high else 1


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    sys.exit(main())
