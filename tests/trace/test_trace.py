"""The command and what it says: documents, licences, steps, as JSON and on the terminal; mistakes are one line."""

import io
import json
import random
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet
from rich.console import Console
from small import sentences
from traced_run import Made, make_run, manifest

from altiplano.cli import run as altiplano
from altiplano.inspect.matches_screen import matches_screen
from altiplano.recipe.load import load_recipe
from altiplano.tokens.tokenizer import Tokenizer
from altiplano.trace import build_index
from altiplano.trace.trace import PLACES, Trace, Tracer

GROUPS = ("web.en", "code.code", "web.de")
COMMON = "the very same sentence stands in all of these documents"


@pytest.fixture(scope="module")
def documents() -> list[list[Made]]:
    """Three files of three groups; some held out, some dropped, some with a licence of their own."""
    generator = random.Random(8)
    files = []
    for file in range(3):
        made = []
        for number in range(30):
            text = sentences(generator, 25)
            if number % 5 == 0:
                text += f" {COMMON}"
            if number % 7 == 1:
                text = f"# SPDX-License-Identifier: MIT\n{text}"
            split = "heldout" if number % 6 == 5 else "" if number % 6 == 4 else "train"
            made.append(Made(text, GROUPS[(number + file) % 3], split))
        files.append(made)
    return files


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, tokenizer: Tokenizer, documents: list[list[Made]]) -> Path:
    folder = make_run(tmp_path_factory.mktemp("traced") / "run", tokenizer, documents)
    values = load_recipe(str(folder / "recipe.toml")).model_dump(mode="json")
    recipe = {key: values[key] for key in ("seed", "mixture", "batch")}
    manifest(folder, "train", {"tokenize": "hash of tokenize"}, recipe, 20)
    return folder


@pytest.fixture
def ask(run: Path, capsys: pytest.CaptureFixture[str]):
    def asked(*arguments: str) -> list[Any]:
        assert altiplano(["trace", str(run), *arguments, "--json"]) == 0
        traces: list[Any] = json.loads(capsys.readouterr().out)["traces"]
        return traces

    return asked


def test_every_document_is_found_again(run: Path, documents: list[list[Made]]) -> None:
    """By its own text, in both splits, with its id, source, address and licence."""
    for split in ("train", "heldout"):
        build_index(run, split)
        tracer = Tracer(run, split)
        for file, made in enumerate(documents):
            for number, one in enumerate(made):
                trace = tracer.trace(one.text, documents=10**6)
                if one.split != split:
                    assert all(match.text != one.text for match in trace.matches)
                    continue
                (match,) = [match for match in trace.matches if match.text == one.text]
                (origin,) = match.origins
                assert (match.count, match.documents, origin.times) == (1, 1, 1)
                document = origin.document
                assert (document.id, f"{document.domain}.{document.language}") == (one.id, one.group)
                assert document.source == f"source-{document.domain}"
                assert document.url == (f"https://example.org/{file}/{number}" if document.domain == "web" else None)
                assert document.licence == ("MIT" if "SPDX" in one.text else None)
                assert (origin.steps is None) == (split == "heldout")


def test_groups_of_several_shards(
    tmp_path: Path, tokenizer: Tokenizer, documents: list[list[Made]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("altiplano.tokens.encode.SHARD_TOKENS", 500)
    run = make_run(tmp_path / "run", tokenizer, documents)
    build_index(run)
    tracer = Tracer(run)
    assert len(tracer.index.shards) > 6
    for one in (one for made in documents for one in made if one.split == "train"):
        (origin,) = tracer.trace(one.text, 1000).matches[0].origins
        assert origin.document.id == one.id


def test_counts_and_documents_of_a_common_sentence(ask, documents: list[list[Made]]) -> None:
    (trace,) = ask(f"Zzz {COMMON} qqq", "--documents", "3")
    (match,) = [match for match in trace["matches"] if COMMON in match["text"]]
    held = [one for made in documents for one in made if one.split == "train" and COMMON in one.text]
    assert match["count"] == match["documents"] == len(held) > 3
    assert [origin["document"]["id"] in {one.id for one in held} for origin in match["origins"]] == [True] * 3
    assert trace["text"][match["start"] : match["end"]] == match["text"]
    assert trace["searched"]["split"] == "train" and trace["searched"]["sources_known"] is True
    assert (trace["searched"]["steps_done"], trace["searched"]["steps"], trace["searched"]["steps_note"]) == (
        20,
        20,
        "",
    )
    assert trace["covered"] == sum(match["end"] - match["start"] for match in trace["matches"])


def test_heldout_is_searched_when_asked(ask, documents: list[list[Made]]) -> None:
    held = next(one for made in documents for one in made if one.split == "heldout")
    (only,) = ask(held.text, "--min-tokens", "80")
    train, heldout = ask(held.text, "--min-tokens", "80", "--heldout")
    assert only == train and train["matches"] == []
    assert [match["text"] for match in heldout["matches"]] == [held.text]


def test_the_licence_column_of_an_annotator_comes_first(
    tmp_path: Path, tokenizer: Tokenizer, documents: list[list[Made]]
) -> None:
    run = make_run(tmp_path / "run", tokenizer, documents)
    for path in (run / "curate/documents").glob("*.parquet"):
        table = parquet.read_table(path)
        parquet.write_table(table.append_column("license", pa.array(["CC-BY-4.0"] * len(table))), path)
    build_index(run)
    origins = Tracer(run).trace(COMMON).matches[0].origins
    assert {origin.document.licence for origin in origins} == {"CC-BY-4.0"}


@pytest.mark.parametrize("lost", ["their manifest", "a file"])
def test_without_the_curated_documents_that_is_said(run: Path, tmp_path: Path, lost: str) -> None:
    copy = shutil.copytree(run, tmp_path / "run")
    build_index(copy)
    assert Tracer(copy).searched().sources_known is True
    if lost == "their manifest":
        manifest(copy, "tokenize", {"curate": "hash of others"})
        build_index(copy)
    else:
        (copy / "curate/documents/part-00001.parquet").unlink()
    trace = Tracer(copy).trace(COMMON)
    document = trace.matches[0].origins[0].document
    assert (document.id, document.source, document.url) == (None, None, None) and document.domain
    assert trace.searched.sources_known is False
    assert "sources are not known" in shown(copy, trace)


def shown(run: Path, trace: Trace) -> str:
    console = Console(file=io.StringIO(), width=200, highlight=False, color_system=None)
    console.print(matches_screen(run, trace))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_screen_says_what_the_trace_holds(run: Path) -> None:
    build_index(run)
    trace = Tracer(run).trace(f"Zzz {COMMON}", documents=2)
    text = shown(run, trace)
    match = max(trace.matches, key=lambda match: match.tokens)
    assert f"{match.tokens} tokens, {match.count} times in {match.documents} documents" in text
    assert f"{match.documents - 2} more documents: --documents N" in text
    for origin in match.origins:
        assert (origin.document.id or "")[:12] in text and origin.steps is not None
        for step in origin.steps.trained:
            assert f"{step}" in text
    assert "held-out text (--heldout)" in text and str(trace.searched.index) in text
    assert "training has taken" not in text


def test_the_screen_of_a_run_that_has_trained_so_far(run: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(run, tmp_path / "run")
    shutil.rmtree(copy / "train")
    build_index(copy)
    text = shown(copy, Tracer(copy).trace(COMMON))
    assert "training has taken 0 of 20 steps" in text and "to be read at step" in text and "trained at" not in text


def test_nothing_found_is_said(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert altiplano(["trace", str(run), "Ω"]) == 0
    assert "nothing of this text stands in the training text: not the whole of it" in " ".join(
        capsys.readouterr().out.split()
    )
    assert altiplano(["trace", str(run), "Ω" * 50]) == 0
    assert "not 8 tokens in a row" in " ".join(capsys.readouterr().out.split())


def test_text_of_strangers_does_not_reach_the_terminal_as_it_is(tmp_path: Path, tokenizer: Tokenizer) -> None:
    run = make_run(tmp_path / "run", tokenizer, [[Made("\x1b[31m[bold]red[/bold] and some more text here")]])
    build_index(run)
    text = shown(run, Tracer(run).trace("\x1b[31m[bold]red[/bold] and some more text here"))
    assert "\x1b" not in text and "[bold]red[/bold]" in text


def test_many_places_in_one_document(tmp_path: Path, tokenizer: Tokenizer) -> None:
    run = make_run(tmp_path / "run", tokenizer, [[Made("one two three. " * (PLACES + 50)), Made("other " * 200)]])
    build_index(run)
    trace = Tracer(run).trace("one two three.", 3)
    (match,) = trace.matches
    assert match.count == PLACES + 50 and match.origins[0].times == PLACES + 50
    assert match.origins[0].steps_of_all is False and "(of the first places)" in shown(run, trace)


def test_from_a_file_and_from_standard_input(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "answer.txt").write_text(f"{COMMON}\n")
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(f"{COMMON}\r\n".encode())))
    answers = []
    for arguments in ([COMMON], ["--file", str(tmp_path / "answer.txt")], []):
        assert altiplano(["trace", str(run), *arguments, "--json"]) == 0
        answers.append(json.loads(capsys.readouterr().out))
    assert answers[0] == answers[1] == answers[2]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["x", "--file", "y"], "give TEXT or --file, not both"),
        (["--file", "nowhere.txt"], "--file nowhere.txt: No such file or directory"),
        (["--file", "latin1.txt"], "latin1.txt is not UTF-8 (byte 3): convert it"),
        ([" \n"], "TEXT has no text to look for"),
        (["\udcff"], "TEXT is not UTF-8 (byte 0): convert it"),
        (["x", "--min-tokens", "0"], "--min-tokens 0: give a number of at least 1"),
        (["x", "--documents", "-1"], "--documents -1: give a number of at least 0"),
    ],
)
def test_a_mistake_is_one_line(
    run: Path,
    tmp_path: Path,
    arguments: list[str],
    said: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("latin1.txt").write_bytes("caf\xe9".encode("latin-1"))
    assert altiplano(["trace", str(run), *arguments]) == 2
    assert capsys.readouterr().err == f"altiplano: {said}\n"
