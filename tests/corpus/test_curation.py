"""The stage as a whole: what the key planted, what settings change, what bad input says."""

import json
import re
import sys
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from altiplano.corpus.curation import curate
from altiplano.corpus.pii.detect import find, hash_value
from altiplano.corpus.splits.overlap import NGRAM
from altiplano.corpus.words import ngram_hashes, word_hashes
from altiplano.errors import InputError
from altiplano.recipe.quality import ProseLimits, QualityConfig
from altiplano.recipe.schema import CorpusConfig, DeduplicationConfig, SourceConfig
from altiplano.records import Audit
from altiplano.records.corpus import BenchmarkLeaks
from corpus.support import ESSAY, SAMPLES, audit_of, contents, documents, essays, samples_corpus, small


def test_folder_holds_the_contract_and_nothing_else(curated):
    parts = [f"part-{number:05d}.parquet" for number in range(5)]
    assert sorted(contents(curated)) == [
        "audit.json",
        "counts.json",
        *(f"documents/{part}" for part in parts),
        "inputs.json",
        *(f"personal_data/{part}" for part in parts),
    ]
    table = pq.read_table(curated / "documents")
    types = {field.name: str(field.type) for field in table.schema}
    for name in ("id", "text", "source", "domain", "url", "language", "code_language", "reason", "split"):
        assert types[name] == "string"
    assert types["language_score"] == types["symbols"] == "float" and types["perplexity"] == "double"
    assert types["bytes"] == "int64" and types["keep"] == "bool"
    for part in parts:
        ids = pq.read_table(curated / "documents" / part)["id"].to_pylist()
        assert ids == sorted(set(ids))
    ids = table["id"].to_pylist()
    assert len(set(ids)) == len(ids) and all(len(i) == 32 for i in ids)
    for row in table.to_pylist():
        assert row["bytes"] == len(row["text"].encode())
        assert row["keep"] == (row["reason"] == "") == (row["split"] in ("train", "heldout"))
        assert (row["language"] == "code") == (row["domain"] == "code") == (row["code_language"] != "")


def test_what_the_key_planted_is_what_happened(curated):
    key = json.loads((SAMPLES / "key.json").read_text())
    rows = documents(curated)
    by_url = {row["url"]: row for row in rows}
    for kind, reason in (("exact_duplicates", "exact duplicate"), ("near_duplicates", "near duplicate")):
        assert len(key[kind]) == 3
        for pair in key[kind]:
            one, copy = by_url[pair["url"]], by_url[pair["copy"]]
            kept, dropped = sorted((one, copy), key=lambda row: not row["keep"])
            assert kept["keep"] and dropped["reason"] == reason and dropped["copy_of"] == kept["id"]
            assert kept["cluster"] == dropped["cluster"] and kept["copy_of"] == ""
    for page in key["dropped"]:
        assert not by_url[page["url"]]["keep"]
    planted = {page["url"] for page in key["dropped"]}
    duplicates = sum(len(key[kind]) for kind in ("exact_duplicates", "near_duplicates"))
    assert sum(not row["keep"] for row in rows) == len(planted) + duplicates  # nothing good was lost


def test_personal_data_is_gone_and_its_hashes_are_there(curated):
    key = json.loads((SAMPLES / "key.json").read_text())["personal_data"]
    rows = documents(curated)
    text = "\n".join(row["text"] for row in rows)
    salt = audit_of(curated)["salt"]
    removed = pq.read_table(curated / "personal_data").to_pylist()
    hashes = {(item["kind"], item["hash"]) for item in removed}
    for item in key:
        assert item["value"] not in text
        assert (item["kind"], hash_value(item["kind"], item["value"], salt)) in hashes
    assert len(hashes) == len(key)  # and nothing else was taken for personal data
    assert {item["document"] for item in removed} == {row["id"] for row in rows if row["personal_spans"]}
    assert not any(find(row["text"], row["language"]) for row in rows)
    assert audit_of(curated)["personal_data"] == dict(sorted(Counter(item["kind"] for item in removed).items()))


def test_every_language_has_training_and_heldout_documents(curated):
    groups = Counter(
        (row["language"], row["split"]) for row in documents(curated) if row["domain"] == "web" and row["keep"]
    )
    for language in ("en", "de", "fr", "es", "ru", "zh"):
        assert groups[language, "heldout"] >= 2 and groups[language, "train"] >= 4


def test_heldout_shares_nothing_with_training(curated):
    rows = [row for row in documents(curated) if row["keep"]]
    grams = {s: set() for s in ("train", "heldout")}
    for row in rows:
        grams[row["split"]].update(ngram_hashes(word_hashes(row["text"]), NGRAM).tolist())
    assert len(grams["heldout"]) > 500 and not grams["heldout"] & grams["train"]
    clusters = {s: {row["cluster"] for row in rows if row["split"] == s} for s in grams}
    assert not clusters["train"] & clusters["heldout"]


def test_long_documents_become_pieces_that_share_a_split(tmp_path):
    corpus = small(tmp_path, {"all.txt": ESSAY}, quality=QualityConfig(max_characters=2000))
    curate(corpus, 0, tmp_path / "out", workers=1)
    rows = documents(tmp_path / "out")
    assert len(rows) > 5 and all(len(row["text"]) <= 2000 for row in rows)
    assert {row["split"] for row in rows if row["keep"]} == {"train"}
    assert audit_of(tmp_path / "out")["raw"]["documents"] == 1


def test_personal_data_may_stay(tmp_path):
    text = ESSAY.split("\n# ")[1] + "\nWrite to ann@beach.example.\n"
    corpus = small(tmp_path, {"a.txt": text}, remove_personal_data=False)
    curate(corpus, 0, tmp_path / "out", workers=1)
    assert "ann@beach.example" in documents(tmp_path / "out")[0]["text"]
    assert audit_of(tmp_path / "out")["personal_data"] == {"email": 1}
    assert len(pq.read_table(tmp_path / "out" / "personal_data")) == 0


def test_errors_are_one_line_and_leave_no_documents(tmp_path):
    source = SourceConfig(name="notes", domain="web", format="jsonl", path="*.jsonl")
    (tmp_path / "a.jsonl").write_text('{"text": "' + "too short " * 3 + '"}\n' + "broken\n" * 30)
    out = tmp_path / "out"
    cases = [
        (CorpusConfig(root=tmp_path / "gone", sources=(source,)), r"corpus\.root"),
        (
            CorpusConfig(root=tmp_path, sources=(source,)),
            r"corpus\.max_bad_records: 30 of 31 records .* malformed JSON line",
        ),
        (
            CorpusConfig(root=tmp_path, sources=(source,), max_bad_records=0.99),
            r"corpus\.quality keeps none of 1 documents .*too short",
        ),
        (
            CorpusConfig(root=tmp_path, sources=(source.model_copy(update={"format": "parquet"}),)),
            r"'notes'.*no parquet document",
        ),
    ]
    for corpus, message in cases:
        with pytest.raises(InputError, match=message) as error:
            curate(corpus, 0, out, workers=1)
        assert "\n" not in str(error.value)
        assert not (out / "documents").exists() and not (out / "audit.json").exists()


def test_a_few_bad_records_never_stop_a_small_corpus(tmp_path):
    source = SourceConfig(name="notes", domain="web", format="jsonl", path="*.jsonl")
    text = (Path(__file__).parents[2] / "samples" / "essays" / "en.md").read_text()[:3000]
    (tmp_path / "a.jsonl").write_text(json.dumps({"text": text}) + "\n" + "broken\n" * 3)
    counts = curate(CorpusConfig(root=tmp_path, sources=(source,)), 0, tmp_path / "out", workers=1)
    assert (counts["documents"], counts["bad_records"]) == (1, 3)


def test_documents_of_an_earlier_run_are_not_taken_again(curated, tmp_path):
    own = {f"{i}.txt": essay for i, essay in enumerate(ESSAY.split("\n# "))}
    corpus = small(tmp_path, own)
    counts = curate(corpus, 0, tmp_path / "first", workers=1)
    assert counts["documents"] > 0
    twice = corpus.model_copy(update={"deduplication": DeduplicationConfig(against=(tmp_path / "first",))})
    with pytest.raises(InputError, match="in an earlier run"):
        curate(twice, 0, tmp_path / "again", workers=1)
    (tmp_path / "new.txt").write_text((SAMPLES / "essays" / "de.md").read_text(encoding="utf-8"))
    curate(twice, 0, tmp_path / "more", workers=1)
    fates = {row["url"]: row["reason"] for row in documents(tmp_path / "more")}
    assert {fates[name] for name in own} == {"in an earlier run"}
    missing = DeduplicationConfig(against=(tmp_path / "nowhere",))
    with pytest.raises(InputError, match=r"deduplication\.against: .*nowhere is no finished curate folder"):
        curate(corpus.model_copy(update={"deduplication": missing}), 0, tmp_path / "x", workers=1)


def test_pages_of_one_address_are_copies(tmp_path):
    pages = ["https://a.example/x?utm_source=b", "http://www.A.example/x/#top", "https://a.example/y"]
    essays = ESSAY.split("\n# ")
    lines = [json.dumps({"text": text, "url": url}) for text, url in zip(essays, pages, strict=False)]
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    source = SourceConfig(name="pages", domain="web", format="jsonl", path="*.jsonl")
    for urls, kept in ((True, 2), (False, 3)):
        corpus = CorpusConfig(root=tmp_path, sources=(source,), deduplication=DeduplicationConfig(urls=urls))
        assert curate(corpus, 0, tmp_path / str(urls), workers=1)["documents"] == kept


def test_documents_with_a_benchmark_in_them_go(tmp_path):
    essays = ESSAY.split("\n# ")
    question = (
        "Which bird was seen on the morning of the third of May beside the old mill and why did nobody write it down"
    )
    texts = {"a.txt": essays[0], "b.txt": f"{essays[1]}\n{question}\n", "c.txt": essays[2]}
    corpus = small(tmp_path, texts, benchmarks=("tests/*.jsonl",))
    with pytest.raises(InputError, match=r"corpus\.benchmarks: 'tests/\*\.jsonl' matches no file"):
        curate(corpus, 0, tmp_path / "none", workers=1)
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "birds.jsonl").write_text(json.dumps({"question": question, "answer": ["a heron"]}) + "\n")
    curate(corpus, 0, tmp_path / "out", workers=1)
    fates = {row["url"]: row["reason"] for row in documents(tmp_path / "out")}
    assert fates == {"a.txt": "", "b.txt": "benchmark text", "c.txt": ""}
    found = Audit.read(tmp_path / "out" / "audit.json").heldout_overlap
    assert found.benchmarks == [
        BenchmarkLeaks(name="tests/birds.jsonl", items=1, too_short=0, items_found=1, documents=1)
    ]


def test_missing_libraries_name_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "trafilatura", None)
    with pytest.raises(InputError, match=r'pip install "altiplano\[corpus\]"'):
        curate(samples_corpus(), 0, tmp_path)


def test_word_lists_drop_and_are_part_of_the_input(tmp_path):
    (tmp_path / "a.txt").write_text(essays("en")[1])
    rant = "Blasted fools and blasted liars, the whole blasted lot. " * 6
    (tmp_path / "b.txt").write_text(rant + essays("en")[2].split(". ")[1] + ".")
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "en").write_text("blasted\n")
    prose = ProseLimits(**{name: 1.0 for name in ProseLimits.model_fields if re.match("max_(repeat|top|dup)", name)})
    limits = QualityConfig(word_lists={"en": Path("lists/en")}, prose=prose)
    corpus = small(tmp_path, {}, quality=limits)
    curate(corpus, 0, tmp_path / "out", workers=1)
    assert {row["url"]: row["reason"] for row in documents(tmp_path / "out")} == {"a.txt": "", "b.txt": "listed words"}
    (tmp_path / "lists" / "en").write_text("nothing\n")
    curate(corpus, 0, tmp_path / "out", workers=1)
    assert {row["reason"] for row in documents(tmp_path / "out")} == {""}
    (tmp_path / "lists" / "en").unlink()
    with pytest.raises(InputError, match=r"corpus\.quality\.word_lists\.en: cannot read"):
        curate(corpus, 0, tmp_path / "out", workers=1)
