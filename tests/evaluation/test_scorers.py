"""What is right, by each metric; programs in their cage."""

import os
import socket
import threading
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from altiplano.benchmarks.answers import Answer
from altiplano.benchmarks.code_execution import passes
from altiplano.benchmarks.item import Item, Task
from altiplano.benchmarks.scorers import exact_match, extract, f1, mathematics, scored
from altiplano.benchmarks.summary import group_scores, summarise
from altiplano.benchmarks.translation import chrf, corpus_bleu, sentence_bleu
from altiplano.errors import InputError
from altiplano.evaluation.statistics import (
    Z,
    clustered_mean,
    clustered_ratio,
    holm,
    wilson,
)


def answer(logprobs: list[float], gold: int, words: list[str], unconditional: list[float] | None = None) -> Answer:
    return Answer(
        task="t",
        item="0",
        cluster="0",
        prompt="?",
        choices=[" " + word for word in words],
        gold=gold,
        logprobs=logprobs,
        tokens=[len(word) // 2 + 1 for word in words],
        lengths=[len(word) for word in words],
        bytes=[len((" " + word).encode()) for word in words],
        greedy=[False] * len(words),
        unconditional=unconditional or [],
    )


def test_normalisations_of_choices() -> None:
    """By hand: raw the short word, per character the long one; without the question the first is likely anyway."""
    found = answer([-4.0, -6.0, -7.0], 1, ["ice", "snowflake", "hail"], [-2.0, -9.0, -8.0])
    scores = scored(Task("t", "accuracy", ()), Item("0", "0"), found).scores
    assert scores["accuracy"] == 0 and scores["accuracy_per_character"] == 1 and scores["accuracy_per_token"] == 1
    assert scores["accuracy_unconditional"] == 1
    assert scores["bits_per_byte"] == pytest.approx(6 / np.log(2) / 10)


def test_written_answers() -> None:
    assert exact_match("The  Eiffel tower!", ["eiffel tower"]) and not exact_match("tower", ["eiffel tower"])
    assert exact_match("#### 1,000.", ["1000"], [",", r"(?s).*#### ", r"\.$"])
    assert extract("so 3 and then 12 apples", r"(\d+)") == "12" and extract("none", r"(\d+)") == ""
    assert extract("(x) B", r"\((\w)\)|([A-D])$") == "B"
    assert f1("the cat sat", ["a cat sat down", "dog"]) == pytest.approx(0.8)
    assert f1("", [""]) == 1 and f1("x", []) == 0


def test_mathematics_by_value() -> None:
    pytest.importorskip("math_verify")
    assert mathematics("The answer is $\\frac{1}{2}$.", ["0.5"])
    assert mathematics("so x = \\boxed{3\\sqrt{2}}", ["$\\sqrt{18}$"])
    assert not mathematics("The answer is $\\frac{1}{3}$.", ["0.5"])


def test_translation() -> None:
    sacrebleu = pytest.importorskip("sacrebleu")
    assert chrf("Das Haus ist alt.", ["Das Haus ist alt."]) == pytest.approx(1)
    text, reference = "Das Haus ist neu.", "Das Haus ist alt."
    assert chrf(text, [reference]) == pytest.approx(sacrebleu.sentence_chrf(text, [reference]).score / 100)


CAGE = [
    ("def f():\n    return 1", "assert f() == 1", True),
    ("def f():\n    return 1", "assert f() == 2", False),
    ("while True: pass", "", False),
    ("x = bytearray(2**31)", "", False),
    ("open('big', 'wb').write(b'0' * 2**22)", "", False),
    ("import os; os._exit(3)", "", False),
    ("def f(:", "", False),
]


@pytest.mark.parametrize(("program", "tests", "expected"), CAGE)
def test_programs(program: str, tests: str, expected: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("altiplano.benchmarks.code_execution.SECONDS", 2.0)
    assert passes(program, tests) is expected


def test_programs_have_no_network() -> None:
    """A server on this machine that answers everybody is not reached from the cage."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=server.accept, daemon=True).start()
        connect = f"import socket; socket.create_connection(('127.0.0.1', {server.getsockname()[1]}), 2)"
        assert not passes(connect, "")
        exec(connect)  # but from here it is


def test_programs_write_in_their_own_folder_alone(tmp_path: Path) -> None:
    """A file of this user is neither changed nor removed, nor is one made beside it; in its own folder both are."""
    kept = tmp_path / "kept.txt"
    kept.write_text("mine")
    for what in (
        f"open({str(kept)!r}, 'w')",
        f"import os; os.remove({str(kept)!r})",
        f"open({str(tmp_path / 'x')!r}, 'w')",
    ):
        assert not passes(what, "")
        exec(what.replace(str(kept), str(tmp_path / "other")).replace("os.remove", "str"))  # no fault of the text
    assert kept.read_text() == "mine"
    assert passes("open('own', 'w').write('1')", "assert open('own').read() == '1'")


def command_lines() -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            found.append(path.read_bytes().decode("utf-8", "replace"))
    return [one for one in found if "time.sleep(60)" in one]


def test_nothing_that_a_program_started_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("altiplano.benchmarks.code_execution.SECONDS", 2.0)
    mark = f"left-{os.getpid()}"
    sleep = f"[sys.executable, '-c', 'import time; time.sleep(60) # {mark}'], start_new_session=True"
    for end in ("", "; import time; time.sleep(60)"):
        passes(f"import subprocess, sys; subprocess.Popen({sleep}){end}", "")
        limit = time.monotonic() + 10  # a killed process takes a moment to go
        while left := [one for one in command_lines() if mark in one]:
            assert time.monotonic() < limit, left
            time.sleep(0.05)


def test_where_programs_cannot_be_confined(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A system without Landlock: nothing is run."""
    without = tmp_path / "confined.py"
    made = Path("src/altiplano/benchmarks/confined.py").read_text()
    without.write_text(made.replace("= 444, 445", "= 9999, 445"))
    monkeypatch.setattr("altiplano.benchmarks.confined.__file__", str(without))
    with pytest.raises(InputError, match=r"--run-code: .*landlock_create_ruleset: Function not implemented"):
        passes("", "")


def test_programs_run_only_when_asked() -> None:
    task = Task("t", "passes_tests", ())
    item = Item("0", "0", prompt="x = 1\n", tests="assert x == 1")
    wrote = Answer("t", "0", "0", "x = 1\n", [], None, written="")
    assert scored(task, item, wrote).score == 0
    assert scored(task, item, wrote, run_code=True).score == 1


@given(st.lists(st.tuples(st.floats(-3, 3), st.integers(0, 6)), min_size=2, max_size=40))
def test_clustered_error_is_that_of_cluster_sums(values: list[tuple[float, int]]) -> None:
    """The formula, written out in another way: n values in G clusters, s² of the cluster sums of residuals."""
    x, cluster = np.array([v for v, _ in values]), [str(c) for _, c in values]
    found = clustered_mean(x, cluster)
    groups = sorted(set(cluster))
    sums = [sum(v - x.mean() for v, c in zip(x, cluster, strict=True) if c == g) for g in groups]
    assert found.clusters == len(groups)
    if len(groups) > 1 and not np.isin(x, (0.0, 1.0)).all():
        expected = np.sqrt(len(groups) / (len(groups) - 1) * np.square(sums).sum()) / len(x)
        assert found.standard_error == pytest.approx(expected, abs=1e-12)
        assert found.high - found.value == pytest.approx(Z * expected, abs=1e-9)


def test_without_clusters_it_is_the_usual_standard_error() -> None:
    x = np.random.default_rng(0).normal(size=200)
    found = clustered_mean(x, [str(n) for n in range(200)])
    assert found.standard_error == pytest.approx(x.std(ddof=1) / np.sqrt(200))


def test_intervals_cover() -> None:
    """Of 1,000 simulated benchmarks of 40 passages with 5 questions, 95 % of the intervals hold the truth; those that
    take questions for independent do not."""
    generator = np.random.default_rng(1)
    held = naive = 0
    for _ in range(1000):
        easy = generator.normal(0, 1.5, size=40)
        p = 1 / (1 + np.exp(-easy))
        x = (generator.random((40, 5)) < p[:, None]).astype(float).ravel()
        truth = 0.5
        found = clustered_mean(x, [str(n // 5) for n in range(200)])
        held += found.low <= truth <= found.high
        low, high = wilson(x.mean(), 200)
        naive += low <= truth <= high
    assert 0.93 <= held / 1000 <= 0.97 and naive / 1000 < 0.9


def test_all_right_is_no_certainty() -> None:
    found = clustered_mean([1.0] * 20, [str(n) for n in range(20)])
    assert found.high == 1 and 0.8 < found.low < 0.9
    assert clustered_mean([1.0] * 20, ["one"] * 20).low < 0.3


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([]) == []


def test_ratio_is_that_of_sums() -> None:
    found = clustered_ratio([2.0, 6.0], [1.0, 3.0], ["a", "b"])
    assert found.value == 2 and found.standard_error == 0


def test_summary_beside_chance_and_majority() -> None:
    task = Task("t", "accuracy", (), groups=("g",))
    answers = [
        replace(scored(task, Item("0", "0"), answer([-1.0, -2.0, -3.0, -4.0], place, [*"abcd"])), cluster=str(n))
        for n, place in enumerate([0] * 6 + [2] * 4)
    ]
    found = summarise(task, answers)
    assert found.score.value == 0.6 and found.chance == 0.25 and found.majority == 0.6 and found.is_above_chance
    assert found.confidence == pytest.approx(1 / (1 + np.exp(-1) + np.exp(-2) + np.exp(-3)))
    bits = group_scores({"t": (task.groups, found), "u": (("g",), found)})["g"]
    assert (bits.score, bits.chance, bits.tasks) == (0.6, 0.25, ["t", "u"])


def test_bleu_of_a_set_is_that_of_sacrebleu() -> None:
    sacrebleu = pytest.importorskip("sacrebleu", reason="sacrebleu is not installed")
    random = np.random.default_rng(3)
    words = ["the", "a", "red", "old", "house", "tree", "stands", "near", "under", "river", "bank", "and", "but"]
    references = [[" ".join(random.choice(words, 9)) + "." for _ in range(2)] for _ in range(40)]
    texts = []
    for first, _ in references:
        said = first.split()
        said[int(random.integers(8))] = "boat"
        texts.append(" ".join(said))
    found = corpus_bleu(texts, references, [str(at // 2) for at in range(40)])
    expected = sacrebleu.corpus_bleu(texts, [[pair[0] for pair in references], [pair[1] for pair in references]])
    assert found.value == pytest.approx(expected.score / 100, abs=1e-12)
    assert found.low < found.value < found.high and (found.items, found.clusters) == (40, 20)
    assert sentence_bleu(texts[0], references[0]) == pytest.approx(
        sacrebleu.sentence_bleu(texts[0], references[0]).score / 100
    )
    # sentences twice over are no more evidence where both are of one cluster
    twice = corpus_bleu([*texts, *texts], [*references, *references], [str(at // 2) for at in range(40)] * 2)
    assert twice.high - twice.low == pytest.approx(found.high - found.low, rel=1e-6)


def test_a_set_with_nothing_in_common_has_a_bleu_near_zero() -> None:
    pytest.importorskip("sacrebleu", reason="sacrebleu is not installed")
    found = corpus_bleu(["", "x"], [["the red house"], ["an old tree"]], ["0", "1"])
    assert 0 <= found.low <= found.value <= found.high < 0.01
