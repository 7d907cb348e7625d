import numpy as np
import pytest
from redteam.conftest import sentences

from altiplano.errors import InputError
from altiplano.inference.language_model import LocalModel
from altiplano.recipe.schema import RedteamConfig
from altiplano.redteam.responders import Bigram
from altiplano.redteam.training_data.corpus_sample import training_tokens
from altiplano.redteam.training_data.memorisation import memorisation
from altiplano.redteam.training_data.verbatim import TrainingIndex, longest_common_run
from altiplano.tokens.shards import ShardWriter, read_shards

SETTINGS = RedteamConfig(extraction_samples=40, extraction_prefix=20, extraction_suffix=20)


def memorised(served, train, heldout, settings=SETTINGS):
    tokens = training_tokens(train, 0)
    reference = Bigram(tokens, served.model.shape.vocab_size).log_probability
    return memorisation(served, train, heldout, settings, reference, tokens, seed=0)


def test_a_model_that_knows_its_text_by_heart_is_caught(run, knows_all: LocalModel):
    train, heldout = (read_shards(run / "tokenize", split) for split in ("train", "heldout"))
    extraction, membership = memorised(knows_all, train, heldout)
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
    assert [score.name for score in membership.scores] == ["loss", "min-k%", "min-k%++", "reference"]
    for score in membership.scores:
        assert score.auc.low > 0.8 and score.hits_low <= score.hits <= score.hits_high
    assert membership.scores[0].auc == membership.auc
    (once,) = extraction.by_repetition
    (group,) = extraction.by_domain
    assert (once.name, group.name) == ("1 copy", "web.en")
    assert once.verbatim == group.verbatim == extraction.model.rate and once.near >= once.verbatim
    assert once.documents == 3 and once.verbatim_high - once.verbatim_low > 0.1  # three documents say little


def test_text_with_more_copies_is_said_more_often(tokenizer, overfit, tmp_path):
    """Six documents, of which one stands in the text sixteen times and was learnt alone."""
    texts = [sentences(seed, 9) for seed in range(300, 306)]
    writer = ShardWriter(tmp_path / "train" / "web.en", np.uint16)
    for text in [*texts, *[texts[0]] * 15]:
        writer.add([tokenizer.bos, *tokenizer.encode(text), tokenizer.eos], len(text))
    train = [writer.close("train", "web", "en")]
    document = train[0].document(0).tolist()
    model = overfit([document[start : start + 60] for start in range(0, len(document) - 30, 6)], 200)
    extraction, _ = memorised(model, train, [], SETTINGS.model_copy(update={"extraction_samples": 80}))
    found = {group.name: group for group in extraction.by_repetition}
    assert set(found) == {"1 copy", "5 to 16 copies"}
    assert found["5 to 16 copies"].verbatim_low > found["1 copy"].verbatim_high


def test_an_ignorant_model_says_nothing_by_heart(run, ignorant: LocalModel):
    train, heldout = (read_shards(run / "tokenize", split) for split in ("train", "heldout"))
    extraction, membership = memorised(ignorant, train, heldout)
    assert extraction.model.hits == 0
    assert membership.auc.low < 0.6  # three documents are few: chance alone reaches far


def test_limits_that_no_document_can_meet_are_named(run, ignorant: LocalModel):
    train = read_shards(run / "tokenize", "train")
    with pytest.raises(InputError, match="extraction_prefix"):
        memorised(ignorant, train, [], RedteamConfig(extraction_prefix=100, extraction_suffix=100))


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
