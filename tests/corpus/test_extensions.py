"""Filters, annotators and readers of the caller, run in processes."""

import importlib
import sys
from functools import partial
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from altiplano.corpus.curation import curate
from altiplano.errors import InputError
from altiplano.recipe.schema import CorpusConfig, DeduplicationConfig, SourceConfig
from corpus import user_functions
from corpus.support import ESSAY, audit_of, contents, documents, essays, samples_corpus, small


def notes(tmp_path: Path) -> CorpusConfig:
    return small(tmp_path, {f"{number}.txt": essay for number, essay in enumerate(essays("en"))})


def test_a_filter_drops_with_its_reason_in_documents_counts_and_funnel(tmp_path):
    corpus = notes(tmp_path)
    curate(corpus, 0, tmp_path / "out", workers=2, filters=[user_functions.no_bridges])
    rows, audit = documents(tmp_path / "out"), audit_of(tmp_path / "out")
    dropped = [row for row in rows if row["reason"] == "bridge"]
    assert dropped and all("bridge" in row["text"] and not row["keep"] and not row["split"] for row in dropped)
    assert not any("bridge" in row["text"] for row in rows if row["keep"])
    assert {group["reason"]: group["documents"] for group in audit["dropped"]}["bridge"] == len(dropped)
    steps = [step["step"] for step in audit["funnel"]]
    at = steps.index("filters")
    assert steps[at - 1] == "heuristics"
    assert audit["funnel"][at - 1]["documents"] - audit["funnel"][at]["documents"] == len(dropped)
    assert audit["funnel"][-1]["documents"] == sum(row["keep"] for row in rows)
    assert {example["reason"] for example in audit["examples"]} >= {"bridge"}


def test_annotations_are_columns_that_filters_see(tmp_path):
    corpus = notes(tmp_path)
    filters = [partial(user_functions.at_most, seas=0)]
    curate(corpus, 0, tmp_path / "out", workers=2, annotators=[user_functions.sea_and_word], filters=filters)
    types = {field.name: str(field.type) for field in pq.read_table(tmp_path / "out" / "documents").schema}
    assert types["seas"] == "double" and types["first_word"] == "string"
    rows = documents(tmp_path / "out")
    assert all(row["seas"] == row["text"].count("sea") for row in rows)
    asked = {row["reason"] == "many seas" for row in rows if row["seas"]}
    assert asked == {True} and not any(row["reason"] for row in rows if not row["seas"])


def test_annotations_follow_a_text_that_was_cut(tmp_path):
    repeated = "The sea is seen from the same window every morning, and the sea is seen from it every night. " * 6
    corpus = small(
        tmp_path,
        {f"{number}.txt": f"{essay}\n{repeated}" for number, essay in enumerate(essays("en")[:4])},
        deduplication=DeduplicationConfig(min_repeat_bytes=400),
    )
    curate(corpus, 0, tmp_path / "out", workers=1, annotators=[user_functions.sea_and_word])
    rows = documents(tmp_path / "out")
    assert all(row["seas"] == row["text"].count("sea") for row in rows)
    assert len({row["seas"] for row in rows}) > 1


def test_a_reader_reads_the_sources_of_its_format(tmp_path):
    (tmp_path / "all.essays").write_text(ESSAY, encoding="utf-8")
    source = SourceConfig(name="essays", domain="web", format="essays", path="*.essays")
    corpus = CorpusConfig(root=tmp_path, sources=(source,))
    curate(corpus, 0, tmp_path / "out", workers=2, readers={"essays": user_functions.paragraphs})
    rows = documents(tmp_path / "out")
    assert len(rows) == len(ESSAY.split("\n# ")) == len({row["id"] for row in rows})
    curate(corpus, 0, tmp_path / "broken", workers=1, readers={"essays": user_functions.broken_reader})
    (bad,) = audit_of(tmp_path / "broken")["bad_records"]
    assert bad["reason"] == "unreadable file, the rest is lost" and "RuntimeError: damaged" in bad["example"]
    assert len(documents(tmp_path / "broken")) == len(rows)
    with pytest.raises(
        InputError, match=r"'essays': format must be warc, .* or python, or that of a reader .*'essays'"
    ):
        curate(corpus, 0, tmp_path / "none", workers=1)
    with pytest.raises(InputError, match="'jsonl' is a built-in format"):
        curate(corpus, 0, tmp_path / "none", workers=1, readers={"jsonl": user_functions.paragraphs})


def local_filter():
    def inner(document):
        return None

    return inner


@pytest.mark.parametrize("function", [lambda document: None, local_filter(), len])
def test_what_other_processes_cannot_import_is_refused_in_one_line(tmp_path, function):
    with pytest.raises(InputError, match="define it with def in a module") as error:
        curate(notes(tmp_path), 0, tmp_path / "out", filters=[function])
    assert "\n" not in str(error.value) and not (tmp_path / "out").exists()


def test_functions_that_fail_are_named(tmp_path):
    corpus = notes(tmp_path)
    with pytest.raises(InputError, match=r"filter fails fails on \w+ of notes: KeyError: 'nothing there'"):
        curate(corpus, 0, tmp_path / "out", workers=2, filters=[user_functions.fails])
    with pytest.raises(InputError, match="taken_name returns 'words', which is a column already"):
        curate(corpus, 0, tmp_path / "out", annotators=[user_functions.taken_name])
    with pytest.raises(InputError, match=r"annotator fails_on_long_texts: RuntimeError: no such text"):
        curate(corpus, 0, tmp_path / "out", workers=1, annotators=[user_functions.fails_on_long_texts])


def test_a_document_on_which_an_annotator_fails_is_dropped_alone(tmp_path):
    curate(notes(tmp_path), 0, tmp_path / "out", workers=1, annotators=[user_functions.other_columns])
    (bad,) = audit_of(tmp_path / "out")["bad_records"]
    assert bad["count"] == sum("bridge" in essay for essay in essays("en"))
    assert "annotator other_columns: ValueError: columns are {'half': 'string'}" in bad["example"]
    assert {row["half"] for row in documents(tmp_path / "out")} == {0.5}


def test_an_edited_filter_is_not_done_already(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    module = tmp_path / "edited_filter.py"
    reasons = []
    for reason in ("first", "second", "second"):
        module.write_text(f"def drop(document):\n    return {reason!r} if 'bridge' in document.text else None\n")
        sys.modules.pop("edited_filter", None)
        importlib.invalidate_caches()
        drop = importlib.import_module("edited_filter").drop
        curate(notes(tmp_path), 0, tmp_path / "out", workers=2, filters=[drop])
        reasons.append({row["reason"] for row in documents(tmp_path / "out")} - {""})
    assert reasons == [{"first"}, {"second"}, {"second"}]


def never(task, **rest):
    raise AssertionError("annotated again")


def test_another_filter_takes_the_annotations_that_are_there(curated, tmp_path, monkeypatch):
    monkeypatch.setattr("altiplano.corpus.curation.annotate_shard", never)
    filters = [user_functions.no_bridges]
    curate(samples_corpus(), 0, tmp_path, workers=1, before=curated, filters=filters)
    assert any(row["reason"] == "bridge" for row in documents(tmp_path))
    with pytest.raises(InputError, match="annotated again"):  # another annotator is another annotation
        curate(samples_corpus(), 0, tmp_path / "2", workers=1, before=curated, annotators=[user_functions.sea_and_word])


def test_without_functions_nothing_changes(curated, tmp_path):
    curate(samples_corpus(), 0, tmp_path, workers=1, filters=(), annotators=[], readers={})
    assert contents(tmp_path) == contents(curated)
