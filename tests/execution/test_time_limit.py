"""A document that takes too long is dropped alone, and counted."""

import re
import signal
import threading
import time

import pytest
from corpus.support import contents, make_corpus

from altiplano.corpus import annotate
from altiplano.corpus.curation import curate
from altiplano.execution import time_limit
from altiplano.execution.time_limit import TookTooLongError, seconds_for
from altiplano.storage import read_json


def python_loop() -> None:
    while True:
        pass


def regular_expression() -> None:
    re.match("(a+)+b", "a" * 60)


def what_catches_exceptions() -> None:
    while True:
        try:
            python_loop()
        except Exception:
            continue


def what_catches_everything_once() -> None:
    try:
        python_loop()
    except BaseException:
        python_loop()


SLOW = [python_loop, regular_expression, what_catches_exceptions, what_catches_everything_once]


@pytest.mark.parametrize("slow", SLOW)
def test_it_ends_whatever_runs_and_leaves_no_timer(slow):
    with pytest.raises(TookTooLongError), time_limit.time_limit(0.2):
        slow()
    assert signal.getitimer(signal.ITIMER_PROF) == (0.0, 0.0)
    begin = time.process_time()
    with time_limit.time_limit(5):
        while time.process_time() - begin < 0.3:
            pass


def test_sleeping_does_not_count():
    with time_limit.time_limit(0.2):
        time.sleep(0.6)


def test_outside_the_main_thread_there_is_no_limit_and_no_error():
    ran = []

    def work() -> None:
        with time_limit.time_limit(0.1):
            ran.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert ran == [True]


@pytest.mark.parametrize("slow", SLOW)
def test_the_document_alone_is_dropped_and_counted(tmp_path, monkeypatch, slow):
    corpus = make_corpus(tmp_path / "raw")
    curate(corpus, 0, tmp_path / "without", workers=1)
    (tmp_path / "raw" / "slow.txt").write_text("SLOW " * 300)
    monkeypatch.setattr(time_limit, "SECONDS", 0.5)
    extract = annotate.extract

    def sometimes_slow(raw, mode="quality"):
        if raw.text.startswith("SLOW"):
            slow()
        return extract(raw, mode)

    monkeypatch.setattr(annotate, "extract", sometimes_slow)
    curate(corpus, 0, tmp_path / "with", workers=1)
    bad = {b["reason"]: b for b in read_json(tmp_path / "with" / "audit.json")["bad_records"]}[annotate.TOO_SLOW]
    assert bad["count"] == 1 and bad["bytes"] == 1500 and bad["example"].startswith("slow.txt")
    same = [
        {k: v for k, v in contents(tmp_path / name).items() if k.startswith("documents")}
        for name in ("with", "without")
    ]
    assert same[0] == same[1]


def test_the_limit_is_far_from_what_documents_take():
    assert seconds_for(0) >= 60 and seconds_for(64 * 2**20) > 3600
