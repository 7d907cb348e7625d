"""The report's page: whole, partial, hostile; nothing from outside."""

import json
import math
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest
from rich.console import Console

from altiplano.errors import InputError
from altiplano.records.run_records import STAGES
from altiplano.report import report
from altiplano.report.terminal import print_summary, summary

VOID = {"meta", "link", "br", "hr", "img", "input"}


class Balance(HTMLParser):
    """Fails on tags that are not closed in order, and on addresses outside the page."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attributes:
            if name in ("src", "href"):
                assert value is not None and value.startswith(("#", "data:")), value

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag, tag


def page_of(workspace: Path) -> str:
    page = report(workspace).read_text()
    parser = Balance()
    parser.feed(page)
    assert parser.open == []
    assert "@import" not in page and "url(" not in page
    return page


@pytest.mark.parametrize("done", range(len(STAGES)))
def test_every_partial_run_has_a_page(make_run: Callable[..., Path], done: int) -> None:
    page = page_of(make_run(STAGES[:done]))
    for stage in STAGES[:-1]:
        assert (f"altiplano {stage} " in page) == (stage not in STAGES[:done])
    assert done == len(STAGES) or "--workspace" in page  # not in runs/NAME, so the command must say where


def test_charts_hold_the_records(make_run: Callable[..., Path]) -> None:
    page = page_of(make_run())
    assert page.count("<svg") >= 15
    assert page.count('class="curve') > 15 and "restart" in page
    assert page.count("Not informative here") == 1  # the probes, whose control hits as often
    assert "Answer temperature 4.24 (3.62 to 4.95)" in page and page.count("fitted on the others") == 1
    assert "1.137" in page and "dp2.tp1.pp1" in page


def test_text_of_the_corpus_stays_text(make_run: Callable[..., Path]) -> None:
    workspace = make_run()
    audit = workspace / "curate" / "audit.json"
    content = json.loads(audit.read_text())
    content["examples"][0]["text"] = "</pre><script>alert(1)</script>"
    content["dropped"][0]["reason"] = content["funnel"][1]["step"] = "<img src=x onerror=alert(1)>"
    audit.write_text(json.dumps(content))
    page = page_of(workspace)
    assert "<script>alert" not in page and "<img" not in page


def test_a_run_under_way_shows_its_steps(make_run: Callable[..., Path]) -> None:
    workspace = make_run(("curate", "tokenize", "train"))
    (workspace / ".work").mkdir()
    (workspace / "train").rename(workspace / ".work" / "train-0123456789ab")
    (workspace / ".work" / "train-0123456789ab" / "manifest.json").unlink()
    with (workspace / ".work" / "train-0123456789ab" / "metrics.jsonl").open("a") as metrics:
        metrics.write('{"step": 401, "lo')  # the trainer is in the middle of a line
    page = page_of(workspace)
    assert "under way" in page and "Training loss" in page


def test_a_failed_gate_is_plain_to_see(make_run: Callable[..., Path]) -> None:
    workspace = make_run(passed=False)
    assert "Not released: the red-team gate failed." in page_of(workspace)
    console = Console(record=True, width=100, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123
    console.print(summary(workspace))
    assert "personal data: 2, limit 0" in console.export_text()


def test_one_step_and_no_finite_value(make_run: Callable[..., Path]) -> None:
    workspace = make_run()
    line = {"step": 1, "tokens": 4096, "loss": math.nan, "gradient_norm": None, "learning_rate": 1e-4}
    (workspace / "train" / "metrics.jsonl").write_text(json.dumps(line) + "\n")
    (workspace / "train" / "heldout.jsonl").write_text("")
    page = page_of(workspace)
    assert "Learning rate" in page and "Training loss" not in page


def test_not_a_run(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not the folder of a run"):
        report(tmp_path)


def test_last_screen(make_run: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    workspace = make_run()
    page = report(workspace)
    print_summary(workspace)
    said = capsys.readouterr().out
    for words in ("web.en", "-2.384", "1.1370", "passed", "1 h 2 min", "4.24", page.name):
        assert words in said
