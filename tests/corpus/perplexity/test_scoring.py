"""Perplexity in the stage as a whole."""

import random
import re

from altiplano.corpus.curation import curate
from altiplano.recipe.quality import ProseLimits, QualityConfig
from altiplano.recipe.schema import CorpusConfig, SourceConfig
from corpus.support import documents, small


def test_perplexity_drops_what_is_unlike_its_group(tmp_path):
    """60 texts about the same few things and 3 with their words in disorder: the disorder goes first."""
    picks = random.Random(1)
    subjects = [
        "the old ferry",
        "a quiet harbour",
        "the northern light",
        "every careful baker",
        "our neighbour",
        "the bridge",
    ]
    verbs = ["waits for", "looks after", "remembers", "slowly repairs", "never forgets", "walks along"]
    places = ["in the early morning", "when the tide is low", "at the end of the road", "before the winter comes"]
    texts = {}
    for i in range(63):
        sentences = [
            f"{picks.choice(subjects)} {picks.choice(verbs)} {picks.choice(subjects)} {picks.choice(places)}."
            for _ in range(30)
        ]
        words = " ".join(sentences).split()
        if i >= 60:
            picks.shuffle(words)
        texts[f"{i}.txt"] = f"Note {i}. " + " ".join(words)
    prose = ProseLimits(
        **{name: 1.0 for name in ProseLimits.model_fields if re.match("max_(repeat|top|dup|lines)", name)},
        min_punctuated_lines=0,
    )
    limits = QualityConfig(perplexity_drop=0.05, prose=prose)
    curate(small(tmp_path, texts, quality=limits), 0, tmp_path / "out", workers=1)
    dropped = {row["url"] for row in documents(tmp_path / "out") if row["reason"] == "perplexity"}
    assert dropped == {"60.txt", "61.txt", "62.txt"}


def test_reference_text_scores_other_domains(tmp_path):
    random.seed(3)
    words = [
        "the",
        "old",
        "ferry",
        "waits",
        "for",
        "a",
        "quiet",
        "harbour",
        "at",
        "the",
        "end",
        "of",
        "the",
        "road",
        "before",
        "winter",
        "comes",
        "again",
    ]
    text = lambda n: " ".join(random.choices(words, k=120)) + f". {n}. One. Two. Three."  # noqa: E731
    for folder, count in (("trusted", 60), ("web", 20)):
        (tmp_path / folder).mkdir()
        for n in range(count):
            (tmp_path / folder / f"{n}.txt").write_text(text(n))
    sources = (
        SourceConfig(name="trusted", domain="reference", format="text", path="trusted/*.txt"),
        SourceConfig(name="web", domain="web", format="text", path="web/*.txt"),
    )
    for reference, scored in (({}, set()), ({"en": "trusted"}, {"web"})):
        quality = QualityConfig(reference=reference, min_language_score=0, perplexity_quantised=True)
        curate(CorpusConfig(root=tmp_path, sources=sources, quality=quality), 0, tmp_path / "out", workers=1)
        rows = [row for row in documents(tmp_path / "out") if row["source"] == "web" and row["keep"]]
        assert {row["source"] for row in rows if row["perplexity"] == row["perplexity"]} == scored
        assert all((row["bucket"] in ("head", "middle", "tail")) == bool(scored) for row in rows)
