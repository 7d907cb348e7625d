"""``altiplano compare``: how often it is wrong where nothing differs, what it finds, and what it refuses."""

import itertools
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from altiplano.benchmarks.answers import Answer, write_answers
from altiplano.benchmarks.comparison import Pairs, compare, paired_test, read_evaluated
from altiplano.cli.main import run
from altiplano.evaluation.document_scores import DocumentScore, write_document_scores
from altiplano.evaluation.statistics import Z_POWER, Z, sign_flip
from altiplano.records import Benchmarks, Comparison, Interval, TaskScore
from altiplano.report.comparison_page import render


def accuracies(generator: np.random.Generator, items: int, per_passage: int, better: float = 0.0) -> Pairs:
    """Two models of which each is right by an item's difficulty, its passage's luck with each, and chance."""
    passages = np.arange(items) // per_passage
    difficulty = generator.normal(0, 1, items)
    sides = []
    for skill in (0.0, better):
        luck = generator.normal(0, 0.7, passages.max() + 1)[passages]
        sides.append((difficulty + luck + generator.normal(0, 1, items) + skill > 0).astype(float))
    return Pairs("task", "task", "accuracy", *sides, np.ones(items), [str(p) for p in passages], 0, 0, 0)


def losses(generator: np.random.Generator, documents: int, more: float = 0.0) -> Pairs:
    """The other model loses ``more`` bits per byte."""
    size = np.ceil(generator.lognormal(7, 1, documents))
    sides = [size * (1.2 + shift + generator.normal(0, 0.1, documents)) for shift in (0.0, more)]
    return Pairs("web.en", "text", "bits_per_byte", *sides, size, [str(n) for n in range(documents)], 0, 0, 0)


def test_false_alarms_are_as_rare_as_they_should_be() -> None:
    """Of 200 pairs of each kind that differ by chance alone."""
    generator = np.random.default_rng(3)
    alarms = [paired_test(accuracies(generator, 300, 3)).p < 0.05 for _ in range(200)]
    assert 0.03 <= np.mean(alarms) <= 0.07
    alarms = [paired_test(losses(generator, 120)).p < 0.05 for _ in range(200)]
    assert 0.03 <= np.mean(alarms) <= 0.07
    for documents in (16, 25, 40):
        alarms = [paired_test(losses(generator, documents)).p < 0.05 for _ in range(400)]
        assert np.mean(alarms) <= 0.07
    few = [paired_test(accuracies(generator, 12, 1)).p < 0.05 for _ in range(400)]
    assert np.mean(few) <= 0.05  # exact tests of few items give fewer, never more


def test_a_difference_as_large_as_detectable_is_found_four_times_of_five() -> None:
    generator = np.random.default_rng(4)
    error = np.mean([paired_test(losses(generator, 150)).mean.standard_error for _ in range(100)])
    seen = [paired_test(losses(generator, 150, (Z + Z_POWER) * error)).p < 0.05 for _ in range(300)]
    assert 0.74 < np.mean(seen) < 0.86


@pytest.mark.parametrize("sums", [[1.0], [1, 1, 1, 1, 1, -1], [3, 1, -2, 0.5], [1] * 6])
def test_sign_flips_against_the_list_of_all(sums: list[float]) -> None:
    flips = [
        sum(s * v for s, v in zip(signs, sums, strict=True)) for signs in itertools.product([1, -1], repeat=len(sums))
    ]
    assert sign_flip(sums) == pytest.approx(np.mean(np.abs(flips) >= abs(sum(sums)) - 1e-9))


def test_few_items_that_all_point_one_way_are_no_verdict() -> None:
    """Their standard error is zero, and the p-value of a normal would be, too."""
    one = Pairs("t", "task", "accuracy", np.zeros(4), np.ones(4), np.ones(4), list("abcd"), 0, 0, 0)
    assert paired_test(one).p == pytest.approx(0.125)


def write_model(folder: Path, scores: dict[str, Sequence[float]], nll: Sequence[float] = (), prompt: str = "Q") -> Path:
    for task, values in scores.items():
        answers = [
            Answer(task, f"{n}", f"{n // 2}", f"{prompt} {n}", ["a", "b"], 0, scores={"accuracy": v}, score=v)
            for n, v in enumerate(values)
        ]
        write_answers(folder / "answers" / task / "000000.parquet", answers)
    score = Interval(value=0.5, low=0.4, high=0.6)
    tasks = {
        name: TaskScore(metric="accuracy", score=score, standard_error=0.1, items=len(values), clusters=2)
        for name, values in scores.items()
    }
    Benchmarks(model=folder.name, tasks=tasks).write(folder / "benchmarks.json")
    if nll:
        rows = [DocumentScore("web.en", f"{n}", v, 100, 400, 256, 256) for n, v in enumerate(nll)]
        write_document_scores(folder / "documents.parquet", rows)
    return folder


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    generator = np.random.default_rng(0)
    same, base = generator.integers(0, 2, 400).astype(float), generator.integers(0, 2, 400).astype(float)
    good = np.where(generator.random(400) < 0.3, 1.0, base)
    nll = generator.normal(300, 20, 60)
    first = write_model(tmp_path / "first", {"even": same, "harder": base, "old": base[:5]}, list(nll))
    second = write_model(tmp_path / "second", {"even": same[:350], "harder": good}, list(nll[:50] + 15))
    third = write_model(tmp_path / "third", {"even": same, "harder": base}, list(nll))
    folders = [str(folder) for folder in (first, second, third)]
    assert run(["compare", *folders, "--output", str(tmp_path / "out")]) == 0
    shown = capsys.readouterr().out
    found = Comparison.read(tmp_path / "out" / "compare.json")
    verdicts = {(Path(one.model).name, one.name): one for one in found.scores}
    assert {key: one.verdict for key, one in verdicts.items()} == {
        ("second", "even"): "no difference told",
        ("second", "harder"): "better",
        ("second", "web.en"): "worse",
        ("third", "even"): "no difference told",
        ("third", "harder"): "no difference told",
        ("third", "web.en"): "no difference told",
    }
    even, harder = verdicts["second", "even"], verdicts["second", "harder"]
    assert (even.items, even.only_first, even.only_second) == (350, 50, 0)
    assert harder.difference.value == pytest.approx(good.mean() - base.mean())
    assert harder.least is not None and harder.detectable is not None
    assert harder.least < harder.detectable and harder.difference.value >= harder.least
    assert verdicts["second", "web.en"].only_first == 10
    assert "left out 50 items" in " ".join(shown.split()) and "old" in shown
    page = (tmp_path / "out" / "compare.html").read_text()
    assert "<svg" in page and "no difference told" in page and "left out 50 items" in page
    assert "://" not in page.replace("http://www.w3.org", "")
    assert run(["compare", *folders, "--output", str(tmp_path / "out"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["first"] == folders[0]


def test_items_asked_differently_are_left_out(tmp_path: Path) -> None:
    values = [float(n % 3 == 0) for n in range(60)]
    first = write_model(tmp_path / "first", {"one": values, "two": values})
    other = write_model(tmp_path / "other", {"one": values})
    write_answers(
        other / "answers" / "one" / "000000.parquet",
        [
            Answer("one", f"{n}", f"{n // 2}", f"Q {n}" if n < 40 else f"another {n}", ["a", "b"], 0,
                   scores={"accuracy": v}, score=v)
            for n, v in enumerate(values)
        ],
    )  # fmt: skip
    found = compare([read_evaluated(first), read_evaluated(other)])
    (score,) = found.scores
    assert (score.items, score.asked_differently) == (40, 20)
    assert any("only" in note and "two" in note for note in found.notes)


def test_a_verdict_is_never_below_what_could_be_told(tmp_path: Path) -> None:
    generator = np.random.default_rng(7)
    for number in range(20):
        tasks = {f"t{k}": generator.integers(0, 2, 150).astype(float) for k in range(5)}
        shifted = {
            name: np.where(generator.random(150) < 0.12 * k, 1.0, v) for k, (name, v) in enumerate(tasks.items())
        }
        models = [
            read_evaluated(write_model(tmp_path / f"{number}-{side}", {n: list(v) for n, v in some.items()}))
            for side, some in (("a", tasks), ("b", shifted))
        ]
        for score in compare(models).scores:
            told = score.verdict != "no difference told"
            if score.least is None:
                assert not told
            elif told:
                assert abs(score.difference.value) >= score.least


def test_names_are_text_on_the_page(tmp_path: Path) -> None:
    folders = [write_model(tmp_path / f"<b>{n}", {}, [1.0, 2.0]) for n in "ab"]
    for folder in folders:
        write_document_scores(
            folder / "documents.parquet",
            [DocumentScore("<script>x</script>", f"{n}", 3.0, 4, 5, 6, 6) for n in range(3)],
        )
    page = render(compare([read_evaluated(folder) for folder in folders]))
    assert "<script>x" not in page and "<b>" not in page and "&lt;script&gt;x" in page


def test_what_cannot_be_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = write_model(tmp_path / "good", {"one": [0.0, 1.0]})
    other = write_model(tmp_path / "other", {"two": [0.0, 1.0]})
    lost = write_model(tmp_path / "lost", {"one": [0.0]})
    (lost / "answers" / "one" / "000000.parquet").unlink()
    broken = write_model(tmp_path / "broken", {"one": [0.0]}, [1.0])
    (broken / "documents.parquet").write_bytes(b"PAR1 no")
    cut = write_model(tmp_path / "cut", {"one": [0.0]})
    (cut / "answers" / "one" / "000000.parquet").write_bytes(b"PAR1")
    (tmp_path / "empty").mkdir()
    unread = write_model(tmp_path / "unread", {"one": [0.0]})
    (unread / "benchmarks.json").write_text("{")
    for folders, said in (
        ([good], "name two models or more"),
        ([good, tmp_path / "none"], "is not a folder"),
        ([good, good], "named twice"),
        ([good, tmp_path / "empty"], "has no evaluation"),
        ([good, other], "nothing in common"),
        ([good, lost], "has 0 answers to one"),
        ([good, broken], "evaluate again"),
        ([good, cut], "damaged"),
        ([good, unread], "evaluate a model first"),
    ):
        assert run(["compare", *map(str, folders), "--output", str(tmp_path / "out")]) == 2, said
        error = capsys.readouterr().err
        assert said in error and error.count("\n") == 1, error
    assert not (tmp_path / "out").exists()


def test_documents_with_equal_texts_are_said_to_count_once(tmp_path: Path) -> None:
    scores = [DocumentScore("web.en", name, 100.0 + at, 50, 200, 64, 64) for at, name in enumerate("aab")]
    write_document_scores(tmp_path / "documents.parquet", scores)
    found = read_evaluated(tmp_path)
    assert len(found.documents["web.en"]) == 2
    assert any("1 held-out documents have the text of another" in note for note in found.notes)
