"""A document that takes too long or too much memory is dropped alone, and counted."""

import re
import resource
import signal
import sys
import threading
import time
from itertools import repeat

import pytest
from corpus.support import ESSAY, audit_of, contents, documents, make_corpus, web_record

from altiplano.corpus import annotate
from altiplano.corpus.curation import curate
from altiplano.execution import document_limits as limits
from altiplano.execution.document_limits import (
    TookTooLongError,
    TookTooMuchMemoryError,
    bytes_for,
    document_limits,
    seconds_for,
)
from altiplano.execution.local import Processes
from altiplano.peak_memory import begin_peak, highest_peak, peak_memory
from altiplano.recipe.schema import CorpusConfig, SourceConfig
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

MIB = 2**20
MEMORY = 128 * MIB
"""What documents of the tests may take; several times what is loaded for the first one."""


def many_small_objects() -> list[list[int]]:
    return [[number] for number in range(MEMORY // 16)]


def what_catches_errors_of_memory() -> str:
    """As trafilatura does: what was refused looks as if there were no text. It ends where nothing is refused, too."""
    try:
        list(map(int, repeat("0", MEMORY // 2)))
    except Exception:
        return ""
    return "text"


def one_call_of_a_library() -> object:
    """That takes more than it may and gives all of it back."""
    return sum(map(ord, "a" * (MEMORY + MEMORY // 2)))


def one_refused_call() -> object:
    return b"a" * (8 * MEMORY)


refused = pytest.mark.skipif(sys.platform != "linux", reason="only Linux refuses memory")
LARGE = [
    many_small_objects,
    one_call_of_a_library,
    pytest.param(one_refused_call, marks=refused),
    pytest.param(what_catches_errors_of_memory, marks=refused),
]


def state() -> object:
    timer, handler = signal.getitimer(signal.ITIMER_PROF), signal.getsignal(signal.SIGPROF)
    return timer, handler, resource.getrlimit(resource.RLIMIT_DATA)


@pytest.mark.parametrize("slow", SLOW)
def test_it_ends_whatever_runs_and_leaves_no_limit(slow):
    before = state()
    with pytest.raises(TookTooLongError), document_limits(0.2, MEMORY):
        slow()
    assert state() == before and before[0] == (0.0, 0.0)
    begin = time.process_time()
    with document_limits(5, MEMORY):
        while time.process_time() - begin < 0.3:
            pass


@pytest.mark.parametrize("large", LARGE)
def test_it_ends_whatever_takes_the_memory_and_leaves_no_limit(large):
    before = state()
    with pytest.raises(TookTooMuchMemoryError), document_limits(60, MEMORY):
        large()
    assert state() == before
    with document_limits(60, MEMORY):
        assert len(b"a" * (MEMORY // 2)) == MEMORY // 2


@refused
def test_what_would_be_twice_the_limit_is_refused():
    with document_limits(60, MEMORY), pytest.raises(MemoryError):
        bytearray(4 * MEMORY)  # not written to: the limit of what is in memory does not see it


on_linux = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the peak is of the whole process")


@on_linux
def test_each_document_has_the_memory_for_itself():
    kept = []
    for _ in range(4):
        with document_limits(60, MEMORY):
            kept.append(bytearray(b"a") * (MEMORY // 2))
    assert sum(map(len, kept)) == 2 * MEMORY


def take_too_much_and_then_nothing(size: int) -> None:
    with pytest.raises(TookTooMuchMemoryError), document_limits(60, size):
        assert len(bytearray(b"a") * (size + size // 2)) == size + size // 2
    with document_limits(60, size):
        pass


@on_linux
def test_what_the_process_that_started_a_worker_once_had_is_no_limit_and_what_a_worker_had_is_known():
    """Linux gives a process the peak of the one that started it; and what came before the last document counts, too."""
    begin_peak()
    size = max(4 * MEMORY, highest_peak())  # other tests may have left this process large
    assert len(bytearray(b"a") * (2 * size)) == 2 * size
    engine = Processes(1)
    begin_peak()
    before = highest_peak()
    ((_, error),) = engine.run(take_too_much_and_then_nothing, [size])
    engine.close()
    assert error is None
    assert highest_peak() > max(before, size + size // 2)


def test_a_limit_of_the_caller_stays():
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    held = peak_memory()
    own = (held + 64 * 2**30, hard)
    resource.setrlimit(resource.RLIMIT_DATA, own)
    try:
        with document_limits(60, 128 * 2**30):
            assert resource.getrlimit(resource.RLIMIT_DATA) == own
        assert resource.getrlimit(resource.RLIMIT_DATA) == own
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def test_sleeping_does_not_count():
    with document_limits(0.2, MEMORY):
        time.sleep(0.6)


def test_outside_the_main_thread_there_is_no_limit_and_no_error():
    ran = []

    def work() -> None:
        with document_limits(0.1, 1):
            ran.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert ran == [True]


@pytest.mark.parametrize("slow", SLOW)
def test_a_slow_document_alone_is_dropped_and_counted(tmp_path, monkeypatch, slow):
    dropped_alone(tmp_path, monkeypatch, slow, annotate.TOO_SLOW)


@pytest.mark.parametrize("large", LARGE)
def test_a_large_document_alone_is_dropped_and_counted(tmp_path, monkeypatch, large):
    dropped_alone(tmp_path, monkeypatch, large, annotate.TOO_LARGE)


def dropped_alone(tmp_path, monkeypatch, what, reason):
    corpus = make_corpus(tmp_path / "raw")
    curate(corpus, 0, tmp_path / "without", workers=1)
    (tmp_path / "raw" / "slow.txt").write_text("SLOW " * 300)
    monkeypatch.setattr(limits, "SECONDS", 0.5 if reason == annotate.TOO_SLOW else 60)
    monkeypatch.setattr(limits, "BYTES", MEMORY)
    extract = annotate.extract

    def sometimes_slow(raw, mode="quality"):
        if raw.text.startswith("SLOW"):
            what()
        return extract(raw, mode)

    monkeypatch.setattr(annotate, "extract", sometimes_slow)
    curate(corpus, 0, tmp_path / "with", workers=1)
    bad = {b["reason"]: b for b in read_json(tmp_path / "with" / "audit.json")["bad_records"]}[reason]
    assert bad["count"] == 1 and bad["bytes"] == 1500 and bad["example"].startswith("slow.txt")
    same = [
        {k: v for k, v in contents(tmp_path / name).items() if k.startswith("documents")}
        for name in ("with", "without")
    ]
    assert same[0] == same[1]


def test_a_page_whose_extraction_takes_too_much_is_dropped_among_others_that_stay(tmp_path, monkeypatch):
    """270 bytes a character, most of them in trafilatura and libxml2."""
    folder = tmp_path / "raw"
    folder.mkdir()
    page = "<html><body><article>{}</article></body></html>"
    essays = ["".join(f"<p>{line}</p>" for line in essay.splitlines()) for essay in ESSAY.split("\n# ")]
    write = [
        web_record(f"https://a.example/{number}", page.format(essay).encode()) for number, essay in enumerate(essays)
    ]
    large = web_record("https://b.example/", page.format("<p>a<ul><li>b<li>c</ul>" * 80_000).encode())
    corpus = CorpusConfig(
        root=folder, sources=(SourceConfig(name="web", domain="web", format="warc", path="*.warc.gz"),)
    )
    found = {}
    (folder / "b.warc.gz").write_bytes(b"".join(write[2:]))  # read in the same task after it
    for name, records in (("without", write[:2]), ("with", [*write[:2], large])):
        (folder / "a.warc.gz").write_bytes(b"".join(records))
        if name == "with":  # by then all is loaded that the first document needs
            monkeypatch.setattr(limits, "BYTES", MEMORY)
            monkeypatch.setattr(limits, "BYTES_PER_CHARACTER", 10)
        curate(corpus, 0, tmp_path / name, workers=1)
        found[name] = contents(tmp_path / name / "documents")
    assert found["with"] == found["without"] and len(documents(tmp_path / "with")) == len(essays)
    (bad,) = audit_of(tmp_path / "with")["bad_records"]
    assert bad["reason"] == annotate.TOO_LARGE and bad["count"] == 1
    assert audit_of(tmp_path / "with")["balance"][0]["unaccounted"] == 0


def test_the_limits_are_far_from_what_documents_take():
    assert seconds_for(0) >= 60 and seconds_for(64 * 2**20) > 3600
    assert bytes_for(0) >= 2**30
