"""The stage as a whole: what the key planted, what a kill leaves, what bad input says."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from corpus_support import SAMPLES, contents, samples_corpus
from processes import alive, children

from altiplano.corpus.annotate import annotate_shard
from altiplano.corpus.curation import curate
from altiplano.corpus.pii.detect import find, hash_value
from altiplano.corpus.readers import listing
from altiplano.corpus.splits import NGRAM
from altiplano.corpus.words import ngram_hashes, word_hashes
from altiplano.errors import InputError
from altiplano.recipe.quality import ProseLimits, QualityConfig
from altiplano.recipe.schema import CorpusConfig, DeduplicationConfig, SourceConfig


@pytest.fixture(scope="module")
def curated(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("curated")
    curate(samples_corpus(), seed=0, folder=folder, workers=1)
    return folder


def documents(folder: Path) -> list[dict]:
    return [row for path in sorted(folder.glob("documents/*.parquet")) for row in pq.read_table(path).to_pylist()]


def audit_of(folder: Path) -> dict:
    return json.loads((folder / "audit.json").read_text(encoding="utf-8"))


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
            kept, dropped = sorted((one, copy), key=lambda row: row["id"])
            assert kept["keep"] and dropped["reason"] == reason and dropped["cluster"] == kept["id"]
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


def test_audit_adds_up(curated):
    audit = audit_of(curated)
    rows = documents(curated)
    steps = audit["funnel"]
    assert [s["step"] for s in steps[:5]] == ["read", "extracted", "language", "heuristics", "perplexity"]
    assert all(a["documents"] >= b["documents"] for a, b in pairwise(steps))
    assert steps[-1]["documents"] == sum(k["documents"] for k in audit["kept"]) == sum(row["keep"] for row in rows)
    assert sum(d["documents"] for d in audit["dropped"]) == sum(not row["keep"] for row in rows)
    assert {e["reason"] for e in audit["examples"] if not e["kept"]} == {d["reason"] for d in audit["dropped"]}
    assert all(len(e["text"]) <= 500 for e in audit["examples"])
    listed = json.loads((curated / "inputs.json").read_text())["sources"]
    assert set(listed) == {"web", "academic", "markdown", "glossary", "code"}
    assert all(set(f) == {"path", "size", "sha256"} for files in listed.values() for f in files)


def test_workers_change_nothing(curated, tmp_path):
    curate(samples_corpus(), seed=0, folder=tmp_path, workers=3)
    assert contents(tmp_path) == contents(curated)


SCRIPT = """
import sys
from pathlib import Path
from corpus_support import samples_corpus
from altiplano.corpus.curation import curate
if __name__ == "__main__":
    curate(samples_corpus(), seed=0, folder=Path(sys.argv[1]), workers=2)
"""


@pytest.mark.skipif(not Path("/proc").exists(), reason="reads /proc")
def test_killed_anywhere_and_resumed_gives_the_same_bytes(curated, tmp_path):
    script = tmp_path / "run.py"
    script.write_text(SCRIPT)
    out = tmp_path / "out"
    paths = [str(Path(__file__).parent), str(Path(__file__).parents[2] / "src")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    picks = random.Random(0)
    seen = set()
    for _ in range(10):
        process = subprocess.Popen([sys.executable, str(script), str(out)], env=environment, stderr=subprocess.DEVNULL)
        files = len(list(out.rglob("*"))) if out.exists() else 0
        wait = picks.choice((1, 2, 4, 8))  # kill when so many more files are there
        while process.poll() is None and (len(list(out.rglob("*"))) if out.exists() else 0) < files + wait:
            time.sleep(0.005)
        workers = children(process.pid)
        process.send_signal(signal.SIGKILL)
        if process.wait() == 0:
            break
        seen.add(len(list(out.rglob("*"))) if out.exists() else 0)
        deadline = time.monotonic() + 10
        while any(alive(pid) for pid in workers) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not any(alive(pid) for pid in workers), "a worker outlived the run that started it"
    assert len(seen) > 3, "the run was hardly interrupted midway"
    subprocess.run([sys.executable, str(script), str(out)], env=environment, check=True, timeout=120)
    assert contents(out) == contents(curated)


def test_a_finished_folder_is_left_as_it_is(curated, tmp_path):
    before = {p: p.stat().st_mtime_ns for p in curated.rglob("*")}
    counts = curate(samples_corpus(), seed=0, folder=curated)
    assert counts["documents"] == audit_of(curated)["funnel"][-1]["documents"]
    assert {p: p.stat().st_mtime_ns for p in curated.rglob("*")} == before


def small(tmp_path: Path, texts: dict[str, str], **changes) -> CorpusConfig:
    for name, text in texts.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    source = SourceConfig(name="notes", domain="web", format="text", path="*.txt")
    return CorpusConfig(**{"root": tmp_path, "sources": (source,), **changes})


ESSAY = (SAMPLES / "essays" / "en.md").read_text(encoding="utf-8")


def test_changed_input_is_read_again(tmp_path):
    essays = ESSAY.split("\n# ")
    corpus = small(tmp_path, {f"{i}.txt": essay for i, essay in enumerate(essays)})
    out = tmp_path / "out"
    curate(corpus, 0, out, workers=1)
    before = contents(out)
    (tmp_path / "0.txt").write_text(essays[0] + " One more sentence about the sea.")
    curate(corpus, 0, out, workers=1)
    after = contents(out)
    assert after["documents/part-00000.parquet"] != before["documents/part-00000.parquet"]
    assert after["inputs.json"] != before["inputs.json"]
    (tmp_path / "0.txt").write_text(essays[0])
    curate(corpus, 0, out, workers=1)
    assert contents(out) == before


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


def never(task, **rest):
    raise AssertionError("annotated again")


def failing_for_b(task, **rest):
    """As annotate_shard; dies of one file."""
    if any("b.txt" in file for file in task.files):
        os.kill(os.getpid(), signal.SIGKILL)
    annotate_shard(task, **rest)


def test_a_shard_that_kills_its_process_is_given_up_and_counted(tmp_path, monkeypatch):
    essays = ESSAY.split("\n# ")
    corpus = small(tmp_path, {f"{name}.txt": essay for name, essay in zip("abcdef", essays, strict=False)})
    monkeypatch.setattr(listing, "TASK_BYTES", 1)
    monkeypatch.setattr("altiplano.corpus.curation.annotate_shard", failing_for_b)
    with pytest.raises(InputError, match=r"corpus\.max_bad_records: .* of raw files cannot be read"):
        curate(corpus, 0, tmp_path / "strict", workers=2)
    counts = curate(corpus.model_copy(update={"max_bad_records": 0.9}), 0, tmp_path / "out", workers=2)
    assert counts["raw_documents"] == 5
    (bad,) = audit_of(tmp_path / "out")["bad_records"]
    assert bad["reason"] == "shard given up: its process was killed, perhaps for want of memory"
    assert bad["example"] == "b.txt"


def test_another_threshold_takes_the_annotations_that_are_there(curated, tmp_path, monkeypatch):
    changed = samples_corpus(quality=QualityConfig(min_characters=600))
    curate(changed, seed=0, folder=tmp_path / "anew", workers=1)
    monkeypatch.setattr("altiplano.corpus.curation.annotate_shard", never)
    curate(changed, seed=0, folder=tmp_path / "taken", workers=1, before=curated)
    assert contents(tmp_path / "taken") == contents(tmp_path / "anew")
    assert any(d["reason"] == "too short" for d in audit_of(tmp_path / "taken")["dropped"])


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


def test_missing_libraries_name_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "trafilatura", None)
    with pytest.raises(InputError, match=r'pip install "altiplano\[corpus\]"'):
        curate(samples_corpus(), 0, tmp_path)


def essays(language):
    return (SAMPLES / "essays" / f"{language}.md").read_text(encoding="utf-8").split("\n# ")


def lines(path, texts):
    path.write_text("".join(json.dumps({"text": text, "path": f"{i}.md"}) + "\n" for i, text in enumerate(texts)))


def test_english_pages_in_a_translation_are_found(tmp_path):
    half = "\n\n".join([*essays("de")[5:7], essays("en")[3]])
    lines(tmp_path / "docs-de.jsonl", [*essays("de")[:5], *essays("en")[:3], half])
    lines(tmp_path / "docs-fr.jsonl", essays("fr")[:4])
    lines(tmp_path / "how-to-do-it.jsonl", essays("en")[4:9])  # "it" is a word here, not Italian
    source = SourceConfig(name="docs", domain="reference", format="jsonl", path="*.jsonl")
    curate(CorpusConfig(root=tmp_path, sources=(source,)), 0, tmp_path / "out", workers=1)
    [found] = audit_of(tmp_path / "out")["untranslated"]
    pages = found.pop("pages")
    assert found == {
        "source": "docs", "declared": "de", "documents": 9, "translated": 6, "english": 3, "mixed": 1, "kept": 3,
    }  # fmt: skip
    assert {page["url"] for page in pages} == {"5.md", "6.md", "7.md"} and {page["fate"] for page in pages} == {"kept"}


def test_examples_show_the_limit_from_both_sides(curated):
    for example in audit_of(curated)["examples"]:
        if example["limit"] is not None and example["reason"] in ("too short", "stop words"):
            assert (example["value"] >= example["limit"]) == example["kept"]
    duplicates = [e for e in audit_of(curated)["examples"] if e["reason"] == "exact duplicate"]
    assert {e["kept"] for e in duplicates} == {True, False}
    assert {e["text"] for e in duplicates if e["kept"]} == {e["text"] for e in duplicates if not e["kept"]}


def test_audit_lists_groups_and_limits(tmp_path):
    lines(tmp_path / "manual.jsonl", [f"{essay}\n\n" + "- short\n" * 8 for essay in essays("en") * 3][:60])
    (tmp_path / "page.txt").write_text(essays("de")[1])
    sources = (
        SourceConfig(name="manual", domain="reference", format="jsonl", path="*.jsonl"),
        SourceConfig(name="pages", domain="web", format="text", path="*.txt"),
    )
    curate(CorpusConfig(root=tmp_path, sources=sources), 0, tmp_path / "out", workers=1)
    audit = audit_of(tmp_path / "out")
    groups = {(group["domain"], group["language"]): group for group in audit["thresholds"]["groups"]}
    manual = groups["reference", "en"]
    assert manual["basis"] == "reference.en" and manual["trusted"] >= 30
    assert manual["limits"]["repeated_line_count"] > 0.3  # the repeated bullets of trusted text are no fault
    assert groups["web", "de"]["basis"] == "general" and groups["web", "de"]["limits"] == {}
    table = {group["group"]: group["documents"] for group in audit["groups"]}
    assert table["web.de"][0] == table["web.de"][-1] == 1
    assert [sum(column) for column in zip(*table.values(), strict=True)] == [
        step["documents"] for step in audit["funnel"]
    ]


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
