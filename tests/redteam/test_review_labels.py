"""People's labels and a judge's: on the page, into the rates, refused when they are of something else."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pytest

from altiplano.errors import InputError
from altiplano.recipe.schema import RedteamConfig
from altiplano.records import Redteam
from altiplano.redteam.gate import gate
from altiplano.redteam.judge import JUDGE, ask_judge, verdict_in
from altiplano.redteam.probes.sensitivity import measured_errors
from altiplano.redteam.probes.trial import Probe, Trial
from altiplano.redteam.responders import Bigram
from altiplano.redteam.review import findings, read_labels, relabelled
from altiplano.redteam.runner import ask
from altiplano.redteam.summary import ProbeInfo, summarise
from altiplano.redteam.transcript import read_transcript
from altiplano.report.review_page import write_review_page


@pytest.fixture
def folder(ignorant, tokenizer, tmp_path: Path) -> Path:
    """Results of a probe that calls every second plain output harmful."""
    trials = tuple(Trial("odd", f"the river {i}", target=str(i % 2)) for i in range(120))

    def score(trial: Trial, output: str) -> float:
        return float(trial.target == "1" and output not in ("", trial.prompt) and "of " not in output)

    probe = Probe("odd", "hate", "is odd", "contempt", trials, score)
    ask(ignorant, [probe], Bigram(np.arange(3000) % 250, tokenizer.vocab_size), tmp_path, tokens=4, seed=1)
    tests, _ = summarise(read_transcript(tmp_path), [ProbeInfo.of(probe)], measured_errors())
    from datetime import date

    lines = gate(tests, RedteamConfig(), date(2026, 11, 26))
    Redteam(passed=False, gate=lines, tests=tests, model="odd").write(tmp_path / "redteam.json")
    return tmp_path


def test_labels_of_all_findings_come_into_the_rate_and_the_gate(folder):
    found = findings(folder)
    hits = [row.id for row in read_transcript(folder) if row.hit]
    assert {row.id for row in found} <= set(hits)
    before = Redteam.read(folder / "redteam.json").tests[0]
    none = relabelled(folder, dict.fromkeys(hits, False), RedteamConfig()).tests[0]
    assert before.model.hits == len(hits) > 30 and none.model.hits == 0
    assert none.reviewed.n == len(hits) and none.reviewed.right == 0
    assert none.judged.high < before.judged.low
    every = relabelled(folder, dict.fromkeys(hits, True), RedteamConfig())
    assert every.tests[0].model.hits == len(hits)
    assert every.tests[0].judged.value > before.model.rate  # what the detector misses is still missed


def test_labels_of_some_findings_are_told_and_do_not_move_the_rate(folder):
    some = findings(folder)[:5]
    found = relabelled(folder, {row.id: False for row in some}, RedteamConfig()).tests[0]
    before = Redteam.read(folder / "redteam.json").tests[0]
    assert (found.reviewed.right, found.reviewed.n) == (0, 5)
    assert found.model == before.model and found.judged == before.judged


@pytest.mark.parametrize(
    ("text", "said"), [("[1]", "has no labels"), ('{"a": 1}', "has no labels"), ("{", "read as JSON")]
)
def test_a_file_that_has_no_labels_is_refused(tmp_path, text, said):
    file = tmp_path / "labels.json"
    file.write_text(text)
    with pytest.raises(InputError, match=said):
        read_labels(file)


def test_labels_of_other_findings_are_refused(folder):
    with pytest.raises(InputError, match="of no finding"):
        relabelled(folder, {"0123": True}, RedteamConfig())


def test_the_page_shows_every_finding_escaped_and_asks_nothing_of_the_network(folder):
    found = findings(folder)
    write_review_page(Redteam.read(folder / "redteam.json"), found, folder / "review.html")
    page = (folder / "review.html").read_text()
    for row in found:
        assert page.count(f'data-id="{row.id}"') == 1
    assert "http://" not in page.replace("http://www.w3.org/", "") and "https://" not in page


class Endpoint(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        said = "Yes." if " 1" in asked["messages"][0]["content"] else "perhaps"
        self.server.paths.append((self.path, asked["model"], self.headers.get("Authorization")))
        body = json.dumps({"choices": [{"message": {"content": said}}]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def endpoint() -> Iterator[HTTPServer]:
    server = HTTPServer(("127.0.0.1", 0), Endpoint)
    server.paths = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_a_judge_labels_findings_once_and_unclear_answers_are_counted(folder, endpoint, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "a-key")
    found = findings(folder)
    url = f"http://127.0.0.1:{endpoint.server_address[1]}/v1/"
    labels, unclear = ask_judge(folder, found, url, "tiny")
    assert endpoint.paths[0] == ("/v1/chat/completions", "tiny", "Bearer a-key")
    assert len(labels) + unclear == len(found) == len(endpoint.paths)
    assert labels and unclear and set(labels.values()) == {True}
    assert json.loads((folder / JUDGE).read_text()) == labels
    ask_judge(folder, found, url, "tiny")
    assert len(endpoint.paths) == len(found) + unclear
    with pytest.raises(InputError, match="does not answer"):
        (folder / JUDGE).unlink()
        ask_judge(folder, found, "http://127.0.0.1:9/v1", "tiny")


@pytest.mark.parametrize(
    ("said", "verdict"), [("Yes", True), (" no.", False), ("I know nothing", None), ("No, yes", False)]
)
def test_verdicts_of_a_judge(said, verdict):
    assert verdict_in(said) is verdict
