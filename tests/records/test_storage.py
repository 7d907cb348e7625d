"""Files are whole or absent; JSON Lines lose no more than the line that was being written."""

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from altiplano import storage
from altiplano.errors import InputError
from altiplano.records.run_records import read_records

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
RECORDS = st.lists(st.dictionaries(st.text(), VALUES, max_size=3), min_size=1, max_size=5)


@given(RECORDS, st.booleans(), st.integers(min_value=0))
def test_json_lines_survive_being_cut_at_any_byte(records: list[dict], ascii_only: bool, cut: int) -> None:  # type: ignore[type-arg]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "lines.jsonl"
        for record in records:
            storage.append_line(path, json.dumps(record, ensure_ascii=ascii_only))
        raw = path.read_bytes()
        kept = raw[: cut % (len(raw) + 1)]
        path.write_bytes(kept)
        whole = [json.loads(line) for line in raw.split(b"\n")[:-1]]
        read = storage.read_lines(path)
        assert read == whole[: len(read)]
        assert len(read) >= kept.count(b"\n")
        storage.append_line(path, '{"after": 1}')
        assert storage.read_lines(path) == [*read, {"after": 1}]


def test_a_file_that_is_not_there_has_no_lines(tmp_path: Path) -> None:
    assert storage.read_lines(tmp_path / "absent.jsonl") == []


def test_lines_of_several_processes_do_not_mix(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    script = (
        "import json, sys; from pathlib import Path; from altiplano import storage\n"
        f"for n in range(200): storage.append_line(Path({str(path)!r}), json.dumps(dict(who=sys.argv[1], n=n)))"
    )
    running = [subprocess.Popen([sys.executable, "-c", script, str(who)]) for who in range(2)]
    assert [process.wait(60) for process in running] == [0, 0]
    read = storage.read_lines(path)
    for who in ("0", "1"):
        assert [record["n"] for record in read if record["who"] == who] == list(range(200))


REWRITE = """
import sys
from pathlib import Path
from altiplano import storage
from altiplano.records.run_records import read_records
path = Path(sys.argv[1])
print("begun", flush=True)
n = 0
while True:
    n += 1
    storage.write_checked(path, {"n": n, "text": str(n) * 200_000})
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="kills")
def test_a_kill_while_writing_leaves_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    path, picks, last = tmp_path / "file.json", random.Random(0), 0
    for _ in range(8):
        with subprocess.Popen([sys.executable, "-c", REWRITE, str(path)], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None and process.stdout.readline()
            time.sleep(picks.uniform(0.02, 0.2))
            process.kill()
        if path.exists():
            content = storage.read_checked(path)
            assert content["text"] == str(content["n"]) * 200_000
            last = content["n"]
    assert last
    storage.remove_temporaries(tmp_path)
    assert os.listdir(tmp_path) == ["file.json"]  # noqa: PTH208


def test_what_fails_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    storage.write_json(path, {"old": 1})

    def fails(temporary: Path) -> None:
        temporary.write_text("half")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        storage.publish(path, fails)
    assert storage.read_json(path) == {"old": 1}
    assert os.listdir(tmp_path) == ["file.json"]  # noqa: PTH208


def test_any_text_is_written_also_names_that_are_no_utf8(tmp_path: Path) -> None:
    for ascii_only in (True, False):
        storage.write_json(tmp_path / "a.json", {"name": "Straße \udce9"}, ensure_ascii=ascii_only)
        assert storage.read_json(tmp_path / "a.json") == {"name": "Straße \udce9"}


def test_what_is_not_json_is_damaged_and_what_cannot_be_read_is_not(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b'{"a": \xff')
    with pytest.raises(storage.Damaged, match=r"a\.json is not JSON"):
        storage.read_json(tmp_path / "a.json")
    with pytest.raises(FileNotFoundError):
        storage.read_json(tmp_path / "b.json")
    assert storage.read_if_there(tmp_path / "b.json", storage.read_json) is None
    for content in ('{"shards": [', "[" * 100_000, "[]"):
        (tmp_path / "a.json").write_text(content)
        with pytest.raises(InputError, match=r"a\.json is damaged .*: remove it$"):
            storage.read_if_there(tmp_path / "a.json", storage.read_object, "remove it")


def test_a_failing_disk_is_not_an_absent_file(tmp_path: Path) -> None:
    """A folder in the file's place cannot be read as one, for root neither."""
    (tmp_path / "redteam" / "redteam.json").mkdir(parents=True)
    with pytest.raises(IsADirectoryError):
        storage.read_if_there(tmp_path / "redteam" / "redteam.json", storage.read_json)
    with pytest.raises(IsADirectoryError):
        read_records(tmp_path)
    assert storage.read_if_there(tmp_path / "redteam" / "other.json", storage.read_json) is None


def test_a_damaged_record_is_not_an_absent_one(tmp_path: Path) -> None:
    (tmp_path / "redteam").mkdir()
    assert read_records(tmp_path).redteam is None
    (tmp_path / "redteam" / "redteam.json").write_text("{")
    with pytest.raises(InputError, match=r"redteam\.json is damaged .*--force"):
        read_records(tmp_path)
