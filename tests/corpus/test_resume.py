"""A curation that was killed, repeated or changed: what is computed again, and that the bytes are the same."""

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import pytest
from processes import alive, children

from altiplano.corpus import annotate
from altiplano.corpus.annotate import annotate_shard
from altiplano.corpus.curation import curate
from altiplano.corpus.fatal_documents import FatalDocuments
from altiplano.corpus.readers import listing
from altiplano.errors import InputError
from altiplano.execution.base import alone, is_alone
from altiplano.execution.local import Processes
from altiplano.recipe.quality import QualityConfig
from corpus.support import ESSAY, audit_of, contents, samples_corpus, small


def test_workers_change_nothing(curated, tmp_path):
    curate(samples_corpus(), seed=0, folder=tmp_path, workers=3)
    assert contents(tmp_path) == contents(curated)


SCRIPT = """
import sys
from pathlib import Path
from corpus.support import samples_corpus
from altiplano.corpus.curation import curate
if __name__ == "__main__":
    curate(samples_corpus(), seed=0, folder=Path(sys.argv[1]), workers=2)
"""


@pytest.mark.skipif(not Path("/proc").exists(), reason="reads /proc")
def test_killed_anywhere_and_resumed_gives_the_same_bytes(curated, tmp_path):
    script = tmp_path / "run.py"
    script.write_text(SCRIPT)
    out = tmp_path / "out"
    paths = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2] / "src")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    picks = random.Random(0)
    seen = set()
    for _ in range(4):
        process = subprocess.Popen([sys.executable, str(script), str(out)], env=environment, stderr=subprocess.DEVNULL)
        files = len(list(out.rglob("*"))) if out.exists() else 0
        wait = picks.choice((2, 4, 8))  # kill when so many more files are there
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
    assert len(seen) > 2, "the run was hardly interrupted midway"
    subprocess.run([sys.executable, str(script), str(out)], env=environment, check=True, timeout=120)
    assert contents(out) == contents(curated)


def test_a_finished_folder_is_left_as_it_is(curated, tmp_path):
    before = {p: p.stat().st_mtime_ns for p in curated.rglob("*")}
    counts = curate(samples_corpus(), seed=0, folder=curated)
    assert counts["documents"] == audit_of(curated)["funnel"][-1]["documents"]
    assert {p: p.stat().st_mtime_ns for p in curated.rglob("*")} == before


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


def never(task, **rest):
    raise AssertionError("annotated again")


def failing_for_b(task, **rest):
    """As annotate_shard; dies of one file."""
    if any("b.txt" in file for file in task.files):
        os.kill(os.getpid(), signal.SIGKILL)
    annotate_shard(task, **rest)


@pytest.mark.slow
def test_a_shard_that_kills_its_process_is_skipped_and_counted(tmp_path, monkeypatch):
    essays = ESSAY.split("\n# ")
    corpus = small(tmp_path, {f"{name}.txt": essay for name, essay in zip("abcdef", essays, strict=False)})
    monkeypatch.setattr(listing, "TASK_BYTES", 1)
    monkeypatch.setattr("altiplano.corpus.curation.annotate_shard", failing_for_b)
    with pytest.raises(InputError, match=r"corpus\.max_bad_records: .* of raw files cannot be read"):
        curate(corpus, 0, tmp_path / "strict", workers=2)
    counts = curate(corpus.model_copy(update={"max_bad_records": 0.9}), 0, tmp_path / "out", workers=2)
    assert counts["raw_documents"] == 5
    (bad,) = audit_of(tmp_path / "out")["bad_records"]
    assert bad["reason"] == "shard skipped: its process was killed, possibly out of memory"
    assert bad["example"] == "b.txt"


def dying_of_two_documents(task, **rest):
    """As annotate_shard; two of its documents end the process."""
    extract = annotate.extract

    def dies(raw, mode="quality"):
        if raw.place in ("b.txt", "d.txt"):
            os.kill(os.getpid(), signal.SIGKILL)
        return extract(raw, mode)

    annotate.extract = dies
    annotate_shard(task, **rest)


@pytest.mark.slow
def test_documents_that_kill_their_process_are_left_out_and_their_shard_is_kept(tmp_path, monkeypatch):
    essays = ESSAY.split("\n# ")
    texts = {f"{name}.txt": essay for name, essay in zip("abcdef", essays, strict=False)}
    (tmp_path / "raw").mkdir()
    corpus = small(tmp_path / "raw", texts)
    monkeypatch.setattr("altiplano.corpus.curation.annotate_shard", dying_of_two_documents)
    curate(corpus, 0, tmp_path / "out", workers=2)
    monkeypatch.undo()
    (bad,) = audit_of(tmp_path / "out")["bad_records"]
    assert (bad["reason"], bad["count"]) == (annotate.FATAL, 2)
    assert bad["bytes"] == sum(len(texts[name].encode()) for name in ("b.txt", "d.txt"))
    for name in ("b.txt", "d.txt"):
        (tmp_path / "raw" / name).unlink()
    curate(corpus, 0, tmp_path / "without", workers=1)
    found = [contents(tmp_path / name / "documents") for name in ("out", "without")]
    assert found[0] == found[1]


def test_a_document_that_was_there_at_two_deaths_of_one_run_is_fatal(tmp_path):
    def dies_at(place: str, run: int = 1, how=alone) -> None:
        if (pid := os.fork()) == 0:
            with how(), FatalDocuments(tmp_path / "at", run) as one:
                with one.at("before"):
                    pass
                with one.at(place):
                    os._exit(0)
        os.waitpid(pid, 0)

    def fatal(run: int = 1) -> set[str]:
        return {place for place in ("before", "a", "b", "c") if place in FatalDocuments(tmp_path / "at", run)}

    assert fatal() == set()
    dies_at("a")
    assert fatal() == set()  # perhaps the machine had no memory for another program
    dies_at("b", run=2)
    assert fatal() == fatal(2) == set()  # what ended the first run ended it for all
    for _ in range(3):
        dies_at("b", run=2, how=nullcontext)
        dies_at("c", run=2, how=nullcontext)
    assert fatal(2) == {"b"} and fatal() == set()  # c may always have died with others
    with pytest.raises(ValueError), FatalDocuments(tmp_path / "at", 2) as one, one.at("a"):
        raise ValueError
    assert fatal(2) == {"b"}
    (tmp_path / "at").write_bytes(b"cut")
    assert fatal(2) == set()
    with FatalDocuments(tmp_path / "at", 2):
        (tmp_path / "at").unlink()  # of another process at this task, on a node that was given up
    assert not (tmp_path / "at").exists()


def dies_with_others(task: int, folder: Path) -> None:
    (folder / f"alone: {is_alone()}").touch()
    if not is_alone():
        os._exit(9)


def test_a_task_knows_whether_another_can_have_ended_its_process(tmp_path):
    engine = Processes(2)
    found = list(engine.run(partial(dies_with_others, folder=tmp_path), [1, 2]))
    engine.close()
    assert sorted(found) == [(1, None), (2, None)]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["alone: False", "alone: True"]


def test_another_threshold_takes_the_annotations_that_are_there(curated, tmp_path, monkeypatch):
    changed = samples_corpus(quality=QualityConfig(min_characters=600))
    curate(changed, seed=0, folder=tmp_path / "anew", workers=1)
    monkeypatch.setattr("altiplano.corpus.curation.annotate_shard", never)
    curate(changed, seed=0, folder=tmp_path / "taken", workers=1, before=curated)
    assert contents(tmp_path / "taken") == contents(tmp_path / "anew")
    assert any(d["reason"] == "too short" for d in audit_of(tmp_path / "taken")["dropped"])
