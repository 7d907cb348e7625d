"""``altiplano inspect`` on a small run: what it says is what the files hold, and a mistake is one line."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from corpus.support import SOURCES, samples_corpus

from altiplano.cli import run
from altiplano.corpus.curation import curate
from altiplano.corpus.filters.heuristics import HEURISTICS, LANGUAGE_REASONS
from altiplano.corpus.pii.detect import PLACEHOLDER
from altiplano.execution.local import InProcess
from altiplano.inspect import screens as safe
from altiplano.recipe.quality import QualityConfig
from altiplano.recipe.schema import SourceConfig
from altiplano.records import StageManifest
from altiplano.tokens.encode import encode_documents, sample_texts
from altiplano.tokens.tokenizer import Tokenizer


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The samples and some of Python's documentation curated and tokenized, without short and Chinese documents."""
    folder = tmp_path_factory.mktemp("inspected")
    sources = (
        *SOURCES,
        SourceConfig(name="topics", domain="reference", format="python", path="reference", max_documents=250),
    )
    languages, quality = ("en", "de", "es", "fr", "ru"), QualityConfig(min_characters=300)
    corpus = samples_corpus(sources=sources, languages=languages, quality=quality)
    curate(corpus, seed=0, folder=folder / "curate", workers=1)
    recipe = {"corpus": corpus.model_dump(mode="json", exclude={"root"})}
    manifest = StageManifest(stage="curate", version="0", recipe=recipe, inputs={}, outputs={}, counts={}, hash="00")
    manifest.write(folder / "curate" / "manifest.json")
    tokenizer = Tokenizer.train(sample_texts(folder / "curate", 10**6), 2048)
    (folder / "tokenize" / "tokenizer").mkdir(parents=True)
    tokenizer.save(folder / "tokenize" / "tokenizer")
    encode_documents(folder / "curate", folder / "tokenize" / "tokenizer", folder / "tokenize", InProcess())
    return folder


@pytest.fixture(scope="module")
def rows(workspace: Path) -> list[dict[str, Any]]:
    parts = sorted((workspace / "curate" / "documents").glob("*.parquet"))
    return [row for part in parts for row in pq.read_table(part).to_pylist()]


@pytest.fixture
def ask(workspace: Path, capsys: pytest.CaptureFixture[str]):
    def asked(*arguments: str) -> Any:
        assert run(["inspect", str(workspace), *arguments, "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    return asked


def test_overview_counts_what_is_there(ask, rows) -> None:
    found = ask()
    for group in found["groups"]:
        mine = [row for row in rows if (row["domain"], row["language"]) == (group["domain"], group["language"])]
        kept = [row for row in mine if row["keep"]]
        assert (group["documents"], group["kept"]) == (len(mine), len(kept))
        assert group["bytes"] == sum(row["bytes"] for row in kept)
        assert bool(group["tokens"]) == bool(kept)
    reasons = Counter(row["reason"] for row in rows if not row["keep"])
    assert {row["reason"]: row["documents"] for row in found["reasons"]} == dict(reasons)


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        ((), lambda row: True),
        (("--kept",), lambda row: row["keep"]),
        (("--reason", "too short"), lambda row: row["reason"] == "too short"),
        (("--domain", "web", "--language", "fr"), lambda row: (row["domain"], row["language"]) == ("web", "fr")),
        (("--contains", "PEINTRES"), lambda row: "peintres" in row["text"].lower()),
    ],
)
def test_lists_are_those_documents(ask, rows, arguments, wanted) -> None:
    found = ask("--documents", *arguments, "--limit", "1000")
    expected = [row["id"] for row in rows if wanted(row)]
    assert len(expected) > 0 and [row["id"] for row in found["documents"]] == expected
    assert found["total"] == (None if "--contains" in arguments else len(expected))
    few = ask("--documents", *arguments, "--limit", "1")
    assert [row["id"] for row in few["documents"]] == expected[:1] and few["total"] == found["total"]


def test_the_first_rule_that_failed_is_the_reason(ask, rows) -> None:
    """Of documents with every reason: what is shown beside each limit agrees with what was decided."""
    by_reason: dict[str, list] = {}
    for row in rows:
        by_reason.setdefault(row["reason"], []).append(row)
    some = [row for each in by_reason.values() for row in each[:: 1 + len(each) // 8]]
    seen = set()
    for row in some:
        failed = [check["reason"] for check in ask(row["id"])["checks"] if not check["passed"]]
        if row["reason"] in (*LANGUAGE_REASONS, *HEURISTICS):
            assert failed[0] == row["reason"]
            seen.add(row["reason"])
        elif row["reason"] != "no text":
            assert failed == []
    assert {"too short", "language not wanted"} <= seen and len(seen) > 3


def test_a_copy_leads_to_the_document_that_stayed(ask, rows) -> None:
    by_id = {row["id"]: row for row in rows}
    copies = [row for row in rows if row["reason"] in ("exact duplicate", "near duplicate")]
    assert len(copies) >= 5
    for row in copies:
        found = ask(row["id"][:12])["copies"]
        kept = by_id[found["kept"]]
        assert kept["keep"] and kept["cluster"] == row["cluster"] and kept["id"] == row["copy_of"] != row["id"]
        there = ask(kept["id"])["copies"]
        assert there["kept"] == kept["id"] and row["id"] in {other["id"] for other in there["others"]}


def test_personal_data_by_kind_and_highlighted(ask, rows, workspace, capsys) -> None:
    row = next(row for row in rows if row["personal_spans"] and row["keep"])
    data = ask(row["id"])["personal_data"]
    there = Counter(found.strip("[]").lower() for found in PLACEHOLDER.findall(row["text"]))
    assert data["removed"] == dict(there) and data["found"] == sum(there.values())
    assert run(["inspect", str(workspace), row["id"]]) == 0
    assert "removed" in capsys.readouterr().out


def test_a_document_by_its_url_and_its_whole_text(ask, rows, workspace, capsys) -> None:
    urls = Counter(row["url"] for row in rows)
    row = max(
        (row for row in rows if row["url"].startswith("http") and urls[row["url"]] == 1), key=lambda r: r["bytes"]
    )
    assert ask(row["url"])["text"] == row["text"]
    assert run(["inspect", str(workspace), row["id"]]) == 0
    short = capsys.readouterr().out
    assert run(["inspect", str(workspace), row["id"], "--full"]) == 0
    full = capsys.readouterr().out
    last = row["text"].split()[-1]
    assert last in full and len(full) >= len(short)


def test_perplexity_stands_beside_its_ranks(ask, rows) -> None:
    scored = [row for row in rows if row["perplexity"] == row["perplexity"]]
    for row in scored[:10]:
        ranks = ask(row["id"])["perplexity"]
        assert ranks["value"] == pytest.approx(row["perplexity"])
        place = {"head": (0, ranks["head"]), "middle": (ranks["head"], ranks["middle"])}
        low, high = place.get(row["bucket"], (ranks["middle"], float("inf")))
        assert low <= ranks["value"] <= high
        assert (row["reason"] == "perplexity") == (ranks["value"] > ranks["largest"])
    assert scored, "no group of the samples is large enough to be scored"


def test_tokens_give_the_text_back(ask, rows) -> None:
    texts = {row["text"] for row in rows if row["split"] == "train"}
    shards = ask("--tokens")["shards"]
    assert sum(shard["documents"] for shard in shards) == sum(row["keep"] for row in rows)
    for name in ("web.ru", "train/web.fr", "code.code"):
        first = ask("--tokens", name)["first"][0]
        found = ask("--tokens", name, "--document", "0")
        pieces = found["tokens"]
        assert pieces[0]["text"] == "<|begin_of_text|>" and pieces[-1]["text"] == "<|end_of_text|>"
        text = "".join(piece["text"] for piece in pieces[1:-1])
        assert text in texts and len(text.encode()) == found["bytes"] == first["bytes"]
        assert sum(len(piece["ids"]) for piece in pieces) == first["tokens"]


@pytest.mark.parametrize("arguments", [(), ("--documents",), ("--tokens",), ("--tokens", "web.en"), ("--kept",)])
def test_screens_end_with_what_to_type_next(workspace, capsys, monkeypatch, arguments) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert run(["inspect", str(workspace), *arguments]) == 0
    shown = capsys.readouterr().out
    command = [line for line in shown.splitlines() if f"altiplano inspect {workspace}" in line][-1]
    assert run(command[command.index("inspect") :].replace('"too short"', "too short").split(" ")[:2]) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["0000000000"], "has no id that begins with 0000000000"),
        (["http://nowhere.example/"], "has no document with the url"),
        (["--reason", "ugly"], "--reason ugly: no document of"),
        (["--language", "tlh"], "--language tlh: no document of"),
        (["--tokens", "web.tlh"], "has no token shard web.tlh: there are"),
        (["--tokens", "web.en", "--document", "100000"], "--document 100000: train/web.en has documents 0 to"),
        (["--document", "1"], "needs a shard"),
        (["--documents", "--limit", "0"], "--limit 0"),
        (["--kept", "--reason", "too short"], "exclude each other"),
        (["abc", "--tokens"], "one question at a time"),
    ],
)
def test_mistakes_are_one_line(workspace, capsys, arguments, message) -> None:
    assert run(["inspect", str(workspace), *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_ambiguous_beginnings_name_candidates(workspace, rows, capsys) -> None:
    begins = Counter(row["id"][0] for row in rows)
    first, count = begins.most_common(1)[0]
    assert count > 1 and run(["inspect", str(workspace), first]) == 2
    error = capsys.readouterr().err
    assert sum(row["id"] in error for row in rows) >= 2 and "give more of the id" in error


def test_what_is_no_run_or_has_no_tokens(tmp_path, workspace, capsys) -> None:
    for place, arguments, message in (
        (tmp_path / "none", [], "no run at"),
        (tmp_path, [], "has no curated documents"),
        (tmp_path, ["--tokens"], "has no token shards"),
    ):
        assert run(["inspect", str(place), *arguments]) == 2
        assert message in capsys.readouterr().err


def test_a_text_cannot_command_the_terminal() -> None:
    assert safe.printable("a\x1b[2Jb\x9bc\u202ed\te\n") == "a�[2Jb�c�d\te\n"
