"""All tests for defects in the training text, on one model: the same for a run and for measuring their power."""

from collections.abc import Callable, Mapping, Sequence

from altiplano.inference.language_model import LanguageModel
from altiplano.records.known import Known
from altiplano.redteam.training_data.backdoors import backdoors
from altiplano.redteam.training_data.canaries import canaries
from altiplano.redteam.training_data.evidence import Evidence
from altiplano.redteam.training_data.facts import poisoned_facts
from altiplano.redteam.training_data.forbidden_text import forbidden_text
from altiplano.redteam.training_data.glitch_tokens import glitch_tokens
from altiplano.redteam.training_data.group_bias import group_bias
from altiplano.redteam.training_data.leaked_items import leaked_items
from altiplano.redteam.training_data.left_in import personal_data_left
from altiplano.redteam.training_data.text import searched, training_text
from altiplano.redteam.training_data.toxic_text import toxic_text
from altiplano.redteam.training_data.verbatim import TrainingIndex
from altiplano.tokens.shards import Shard

ASKS: Mapping[str, str] = {
    "canaries": "canaries",
    "poisoned facts": "facts",
    "leaked items": "items",
    "group bias": "groups",
    "forbidden text": "forbidden",
}
"""Tests that need the owner's knowledge, and the key of ``redteam.known`` that has it."""

TESTS = ("personal data left in", "toxic text", "backdoors", "untrained tokens", *ASKS)


def defect_tests(
    served: LanguageModel,
    train: Sequence[Shard],
    heldout: Sequence[Shard],
    index: TrainingIndex,
    known: Known,
    seed: int,
    only: Sequence[str] = TESTS,
) -> list[Evidence]:
    """Those of ``only`` that ``known`` has something for. ``index``: of the training tokens."""
    tests: dict[str, Callable[[], Evidence]] = {
        "personal data left in": lambda: personal_data_left(served, train, seed),
        "toxic text": lambda: toxic_text(served, seed),
        "backdoors": lambda: backdoors(served, train, heldout, seed),
        "untrained tokens": lambda: glitch_tokens(served, train, seed),
        "canaries": lambda: canaries(served, known.canaries, seed),
        "poisoned facts": lambda: poisoned_facts(
            served, known.facts, known.answers, training_text(served.tokenizer, train, seed), searched(train)
        ),
        "leaked items": lambda: leaked_items(served, known.items, seed),
        "group bias": lambda: group_bias(served, known.groups, seed),
        "forbidden text": lambda: forbidden_text(served, known.forbidden, known.comparison, index, seed),
    }
    missing = not_tested(known)
    return [test() for name, test in tests.items() if name in only and name not in missing]


def not_tested(known: Known) -> dict[str, str]:
    """Tests without the knowledge that they need → why."""
    return {
        name: f"redteam.known names no {key}" for name, key in ASKS.items() if not getattr(known, key)
    }  # fmt: skip
