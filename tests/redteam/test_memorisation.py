import numpy as np
import pytest

from altiplano.errors import InputError
from altiplano.inference.language_model import LanguageModel
from altiplano.recipe.schema import RedteamConfig
from altiplano.redteam.training_data.memorisation import memorisation
from altiplano.redteam.training_data.verbatim import TrainingIndex, longest_common_run
from altiplano.tokens.shards import read_shards

SETTINGS = RedteamConfig(extraction_samples=40, extraction_prefix=20, extraction_suffix=20)


def test_a_model_that_knows_its_text_by_heart_is_caught(run, knows_all: LanguageModel):
    train, heldout = (read_shards(run / "tokenize", split) for split in ("train", "heldout"))
    extraction, membership = memorisation(knows_all, train, heldout, SETTINGS, seed=0)
    assert extraction.n == 40
    assert extraction.model.rate > 0.3
    assert extraction.controls[0].rate == 0
    assert extraction.excess == extraction.model.rate
    assert extraction.excess_low > 0.05
    assert extraction.longest_run.train.mean > extraction.longest_run.heldout.mean + 3
    attempts = {line.attempts: line for line in extraction.extractable}
    assert attempts[10_000].train >= attempts[1].train
    assert attempts[10_000].train > attempts[10_000].heldout
    assert membership.auc.low > 0.9
    assert membership.loss.train < membership.loss.heldout


def test_an_ignorant_model_says_nothing_by_heart(run, ignorant: LanguageModel):
    train, heldout = (read_shards(run / "tokenize", split) for split in ("train", "heldout"))
    extraction, membership = memorisation(ignorant, train, heldout, SETTINGS, seed=0)
    assert extraction.model.hits == 0
    assert membership.auc.low < 0.6  # three documents are few: chance alone reaches far


def test_limits_that_no_document_can_meet_are_named(run, ignorant: LanguageModel):
    train = read_shards(run / "tokenize", "train")
    with pytest.raises(InputError, match="extraction_prefix"):
        memorisation(ignorant, train, [], RedteamConfig(extraction_prefix=100, extraction_suffix=100), seed=0)


def test_the_index_finds_the_longest_verbatim_run():
    random = np.random.default_rng(0)
    text = random.integers(0, 500, 5000)
    index = TrainingIndex(text)
    said = np.concatenate([random.integers(0, 500, 30), text[700:731], random.integers(0, 500, 30), text[90:100]])
    assert index.longest_run(said.tolist()) == (30, 31)
    assert index.longest_run(random.integers(0, 500, 200).tolist()) == (0, 0)
    assert index.longest_run([1, 2]) == (0, 0)
    assert TrainingIndex(text[:3]).longest_run(said.tolist()) == (0, 0)


def test_longest_common_run_equals_a_plain_search():
    random = np.random.default_rng(1)
    left, right = random.integers(0, 3, (20, 15)), random.integers(0, 3, (20, 15))

    def plain(a: list[int], b: list[int]) -> int:
        parts = {tuple(b[i:j]) for i in range(15) for j in range(i + 1, 16)}
        return max((j - i for i in range(15) for j in range(i + 1, 16) if tuple(a[i:j]) in parts), default=0)

    expected = [plain(a, b) for a, b in zip(left.tolist(), right.tolist(), strict=True)]
    assert longest_common_run(left, right).tolist() == expected
