"""Held-out losses against a plain computation, document by document."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from altiplano.evaluation.evaluate import Scores, document_losses, model_losses, seen_unseen_gap
from altiplano.evaluation.perplexity import heldout_losses, heldout_text, pack
from altiplano.model.initial_weights import initial_value
from altiplano.model.llama import Llama
from altiplano.recipe.schema import Recipe
from altiplano.tokens.shards import read_shards

BOS, SEQUENCE = 512, 64


@pytest.fixture(scope="module")
def model(small_recipe: Recipe) -> Llama:
    model = Llama(small_recipe.model)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            scale = 1.0 if name.endswith("norm.weight") else 5.0
            parameter.copy_(scale * initial_value(name, parameter.shape, small_recipe.model, seed=0))
    return model.eval()


@torch.no_grad()
def plain(model: Llama, documents: list[np.ndarray]) -> list[float]:
    """Loss of each document: the stream of all documents in windows, attention within a document and a window."""
    stream = [(number, int(token)) for number, document in enumerate(documents) for token in document]
    losses = [0.0] * len(documents)
    for start in range(0, len(stream) - 1, SEQUENCE):
        window = stream[start : start + SEQUENCE]
        for number in {number for number, _ in window}:
            tokens = [token for owner, token in window if owner == number]
            follows = stream[start + SEQUENCE] if start + SEQUENCE < len(stream) else (-1, -1)
            targets = tokens[1:] + ([follows[1]] if window[-1][0] == number == follows[0] else [])
            logits = model(torch.tensor([tokens]))[0, : len(targets)].double()
            losses[number] += float(torch.nn.functional.cross_entropy(logits, torch.tensor(targets), reduction="sum"))
    return losses


def test_document_losses_equal_a_plain_computation(model: Llama, tokenized: Path) -> None:
    shard = read_shards(tokenized, "heldout")[0]
    documents = [shard.document(number) for number in range(len(shard))]
    ours = document_losses(lambda batch: model_losses(model, batch), documents, SEQUENCE, BOS)
    assert ours == pytest.approx(plain(model, documents), rel=1e-4)


@pytest.mark.parametrize("ranks", [1, 2, 4])
def test_the_loop_and_the_stage_agree_however_many_share_the_work(model: Llama, tokenized: Path, ranks: int) -> None:
    shards = read_shards(tokenized, "heldout")
    texts = [heldout_text(shard, SEQUENCE, BOS, max_tokens=10**9) for shard in shards]
    rows = 8
    parts = []
    for rank in range(ranks):
        share = slice(rank * rows // ranks, (rank + 1) * rows // ranks)

        def score(batch):  # type: ignore[no-untyped-def]
            with torch.no_grad():
                return model_losses(model, batch)

        parts.append(heldout_losses(score, texts, BOS, rows, share, lambda sums: sums))
    together = np.sum(parts, axis=0)
    for text, shard, nll in zip(texts, shards, together, strict=True):
        documents = [shard.document(number) for number in range(len(shard))]
        assert nll == pytest.approx(
            document_losses(lambda batch: model_losses(model, batch), documents, SEQUENCE, BOS).sum(), rel=1e-6
        )
        assert text.tokens == sum(len(document) - 1 for document in documents)
        assert text.bytes == shard.bytes


def test_whole_documents_up_to_the_limit(tokenized: Path) -> None:
    shard = read_shards(tokenized, "heldout")[0]
    one = heldout_text(shard, SEQUENCE, BOS, max_tokens=1)
    assert one.documents == 1
    assert one.bytes == shard.document_bytes[0]
    some = heldout_text(shard, SEQUENCE, BOS, max_tokens=len(shard.document(0)) + len(shard.document(1)))
    assert some.documents == 2


def test_windows_overlap_in_one_token_and_lose_none() -> None:
    documents = [np.array([BOS, *range(150), BOS + 1]), np.array([BOS, 7, BOS + 1])]
    windows = pack(documents, SEQUENCE, BOS)
    assert windows.shape[1] == SEQUENCE + 1
    stream = [int(windows[0, 0]), *(int(token) for window in windows for token in window[1:])]
    assert stream[:155] == [token for document in documents for token in document.tolist()]
    assert set(stream[155:]) <= {BOS}


def test_units() -> None:
    scores = Scores(np.array([math.log(2) * 80]), np.array([20]), np.array([40]))
    summary = scores.summary(samples=10, seed=0)
    assert summary.bits_per_byte == pytest.approx(2.0)
    assert summary.perplexity == pytest.approx(2**4)


def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    generator = np.random.default_rng(0)
    covered = 0
    for trial in range(200):
        size = generator.integers(50, 500, size=60)
        nll = size * generator.normal(1.0, 0.3, size=60) * math.log(2)
        summary = Scores(nll, size, size).summary(samples=200, seed=trial)
        covered += summary.bits_per_byte_low <= 1.0 <= summary.bits_per_byte_high
    assert 0.88 <= covered / 200 <= 0.99


def test_a_gap_is_found_where_there_is_one() -> None:
    generator = np.random.default_rng(1)
    size = np.full(80, 100)
    seen = Scores(size * generator.normal(1.0, 0.2, 80) * math.log(2), size, size)
    unseen = Scores(size * generator.normal(1.3, 0.2, 80) * math.log(2), size, size)
    gap = seen_unseen_gap(seen, unseen, samples=500, seed=0)
    assert gap.low > 0.1
    assert gap.gap == pytest.approx(gap.heldout - gap.train)
    none = seen_unseen_gap(seen, Scores(seen.nll[::-1], size, size), samples=500, seed=0)
    assert none.low < 0 < none.high
