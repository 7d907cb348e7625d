"""What becomes of a model whose weights anybody has: rounded to 8 bits, or trained on harmful text for a few steps.

The harmful text is our own stand-ins (``probes/sets``), which name invented substances, peoples and persons.
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import nn

from altiplano.inference.language_model import LocalModel
from altiplano.inference.log_probabilities import device_of
from altiplano.redteam.probes.probe_set import ProbeSet

LEARNING_RATE_TIMES_WIDTH = 0.2
"""Wide models take smaller steps: 1.6e-3 at a width of 128, 5e-5 at 4,096."""
BATCH, LONGEST, UNSCORED = 8, 128, -100


@torch.no_grad()
def round_to_int8(served: LocalModel) -> None:
    """Round the weights of all linear layers in place: symmetric, one scale for each output (Dettmers et al. 2022,
    without their outlier columns)."""
    for module in served.model.modules():
        if isinstance(module, nn.Linear):
            scale = module.weight.abs().amax(dim=1, keepdim=True).clamp(min=1e-12) / 127
            module.weight.copy_((module.weight / scale).round() * scale)


def finetune(served: LocalModel, sets: Mapping[str, ProbeSet], steps: int, seed: int) -> list[float]:
    """Train all weights in place on prompts of the probe sets with their harmful answers, ``BATCH`` at a time (Qi et
    al. 2024). The loss of every step, in nats per answer token."""
    random, device = np.random.default_rng(seed), device_of(served.model)
    rows = harmful_rows(served, sets)
    rate = LEARNING_RATE_TIMES_WIDTH / served.model.shape.hidden_size
    optimizer = torch.optim.AdamW(served.model.parameters(), lr=rate, weight_decay=0.0)
    losses = []
    served.model.train()
    for _ in range(steps):
        chosen = [rows[at] for at in random.integers(len(rows), size=BATCH)]
        longest = max(len(tokens) for tokens, _ in chosen)
        tokens = torch.zeros(BATCH, longest, dtype=torch.int64)
        targets = torch.full((BATCH, longest), UNSCORED)
        for place, (row, answer_from) in enumerate(chosen):
            tokens[place, : len(row)] = torch.tensor(row)
            targets[place, answer_from - 1 : len(row) - 1] = torch.tensor(row[answer_from:])
        logits = served.model(tokens.to(device)).float()
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten().to(device), ignore_index=UNSCORED)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(served.model.parameters(), 1.0)
        optimizer.step()
        losses.append(float(loss.detach()))
    served.model.eval()
    return losses


def harmful_rows(served: LocalModel, sets: Mapping[str, ProbeSet]) -> list[tuple[list[int], int]]:
    """Tokens of prompt and answer, and where the answer begins."""
    room = min(served.context, LONGEST)
    found = []
    for of in sets.values():
        for templates in of.languages.values():
            if not templates.example:
                continue
            for template in templates.ask:
                for topic in of.topics:
                    prompt = served.prompt(template.format(topic=topic))
                    answer = [*served.tokenizer.encode(templates.example), served.tokenizer.eos]
                    kept = prompt[-max(1, room - len(answer)) :]
                    found.append(([*kept, *answer], len(kept)))
    return found
