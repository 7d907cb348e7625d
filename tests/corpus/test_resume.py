"""A curation that was killed, repeated or changed: what is computed again, and that the bytes are the same."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from processes import alive, children

from altiplano.corpus.annotate import annotate_shard
from altiplano.corpus.curation import curate
from altiplano.corpus.readers import listing
from altiplano.errors import InputError
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
    for _ in range(6):
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


def test_another_threshold_takes_the_annotations_that_are_there(curated, tmp_path, monkeypatch):
    changed = samples_corpus(quality=QualityConfig(min_characters=600))
    curate(changed, seed=0, folder=tmp_path / "anew", workers=1)
    monkeypatch.setattr("altiplano.corpus.curation.annotate_shard", never)
    curate(changed, seed=0, folder=tmp_path / "taken", workers=1, before=curated)
    assert contents(tmp_path / "taken") == contents(tmp_path / "anew")
    assert any(d["reason"] == "too short" for d in audit_of(tmp_path / "taken")["dropped"])
