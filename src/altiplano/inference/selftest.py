"""Before it answers anyone, the server proves that it says what the trained model says.

Cached, padded, token by token on one side; the training code's full forward on the other.
"""

import math

import torch

from altiplano.errors import InputError
from altiplano.inference.generate import PADDING, PROMPT
from altiplano.inference.language_model import LocalModel
from altiplano.inference.log_probabilities import device_of
from altiplano.model.attention import Cache

PROMPTS = (
    "The highest plain of the Andes lies between two chains of mountains.",
    "def add(left, right):\n    return left + right\n",
    "Das Wetter in den Bergen ändert sich schnell; 今天山上有雪。",
    "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11",
)
TOLERANCE = 1e-4  # nats, in float32; a model in bfloat16 rounds more
TOLERANCE_BFLOAT16 = 0.1


@torch.inference_mode()
def largest_difference(served: LocalModel) -> float:
    """Largest difference in nats between cached and full-forward log-probabilities over the whole vocabulary."""
    device, room = device_of(served.model), min(48, served.context)
    prompts = [served.prompt(text)[: room - place] for place, text in enumerate(PROMPTS)]
    longest = max(map(len, prompts))
    tokens = torch.zeros(len(prompts), longest, dtype=torch.int64, device=device)
    document = torch.full_like(tokens, PADDING)
    for row, prompt in enumerate(prompts):
        tokens[row, longest - len(prompt) :] = torch.tensor(prompt)
        document[row, longest - len(prompt) :] = PROMPT
    half, cache = longest // 2, Cache()
    parts = [served.model(tokens[:, :half], document[:, :half], cache)]
    for place in range(half, longest):
        parts.append(served.model(tokens[:, place : place + 1], document[:, place : place + 1], cache))
    cached = torch.cat(parts, dim=1).float().log_softmax(-1)
    worst = 0.0
    for row, prompt in enumerate(prompts):
        full = served.model(torch.tensor([prompt], device=device))[0].float().log_softmax(-1)
        difference = (cached[row, longest - len(prompt) :] - full).abs().max().item()
        if math.isnan(difference):  # max() would hide it
            return difference
        worst = max(worst, difference)
    return worst


def check(served: LocalModel) -> float:
    """Return the largest difference. Raises InputError when the model must not be served."""
    assert served.model.lm_head is not None
    dtype = served.model.lm_head.weight.dtype
    tolerance = TOLERANCE if dtype in (torch.float32, torch.float64) else TOLERANCE_BFLOAT16
    difference = largest_difference(served)
    if not difference <= tolerance:
        raise InputError(
            f"self-test failed: served log-probabilities differ from the model's by {difference:.2g} nats "
            f"(at most {tolerance:g}); the weights may be damaged: release the model again"
        )
    return difference
