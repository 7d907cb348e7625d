"""Building the index: killed, on a full disk, damaged, of other token shards, by two commands at once."""

import fcntl
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from small import sentences
from traced_run import Made, make_run

from altiplano.cli import run as altiplano
from altiplano.cli.arguments import GO_ON
from altiplano.errors import INTERRUPTED, InputError
from altiplano.storage import digest
from altiplano.tokens.tokenizer import Tokenizer
from altiplano.trace import build_index, open_index

ROOT = Path(__file__).parents[2]
PARTS = 12
PART_BYTES = 10**6 // PARTS
BUILD = f"""
import sys
from pathlib import Path
from altiplano.cli import main
from altiplano.trace import build

build.PART_BYTES = {PART_BYTES}
if sys.argv[1] == "trace":
    main(sys.argv[1:])
build.build_index(Path(sys.argv[1]))
"""


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory, tokenizer: Tokenizer) -> Path:
    """A run of a megabyte of text."""
    generator = random.Random(0)
    documents = [Made(sentences(generator, 900)) for _ in range(200)]
    return make_run(tmp_path_factory.mktemp("made") / "run", tokenizer, [documents])


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    return shutil.copytree(made, tmp_path / "run")


def start(*arguments: object) -> subprocess.Popen[str]:
    """``build_index`` of a run, or a command, in a process of its own, with small parts."""
    command = [sys.executable, "-c", BUILD, *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> str:
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    return errors


def parts_of(run: Path) -> dict[str, int]:
    """Published parts, and when each was written."""
    return {path.name: path.stat().st_mtime_ns for path in (run / "trace" / "train").glob("part-*.bin")}


def contents(run: Path) -> dict[str, str]:
    folder = run / "trace" / "train"
    return {path.name: digest(path) for path in folder.iterdir() if path.name not in ("verified.json", ".lock")}


def test_killed_while_building_it_goes_on_with_the_missing_parts(
    run: Path, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = shutil.copytree(made, tmp_path / "undisturbed" / "run")
    finish(start(other))
    assert len(parts_of(other)) >= PARTS
    kills = 0
    for number, wanted, arguments in ((signal.SIGKILL, 1, [run]), (signal.SIGINT, 5, ["trace", run, "no such text"])):
        process = start(*arguments)
        while process.poll() is None and len(parts_of(run)) < wanted:
            time.sleep(0.005)
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
        assert "Traceback" not in errors, errors
        kills += len(parts_of(run)) < PARTS
    assert (process.returncode, errors.splitlines()[-1]) == (INTERRUPTED, f"altiplano: {GO_ON}")
    assert kills == 2  # or this shows nothing
    before = parts_of(run)
    monkeypatch.setattr("altiplano.trace.build.PART_BYTES", PART_BYTES)
    with pytest.raises(InputError, match=r"is not whole \(part-\d+\.bin is missing\): altiplano trace .* completes it"):
        open_index(run)
    orphan = run / "trace" / "train" / ".part-00003.bin.1.tmp"
    orphan.write_text("cut short")
    finish(start(run))
    assert parts_of(run).items() >= before.items()
    assert contents(run) == contents(other)
    assert not orphan.exists()


def test_a_whole_index_is_not_built_again(run: Path) -> None:
    build_index(run)
    folder = run / "trace" / "train"
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    build_index(run)
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_other_token_shards_are_another_index(
    run: Path, tokenizer: Tokenizer, capsys: pytest.CaptureFixture[str]
) -> None:
    build_index(run)
    assert open_index(run).count("wholly new words") == 0
    shutil.rmtree(run / "tokenize")
    shutil.rmtree(run / "curate")
    make_run(run, tokenizer, [[Made("wholly new words")]])
    with pytest.raises(InputError, match=r"has an index of other token shards: altiplano trace .* TEXT builds it"):
        open_index(run)
    capsys.readouterr()
    build_index(run)
    assert "is of other token shards than" in capsys.readouterr().err
    assert open_index(run).count("wholly new words") == 1


def test_other_curated_documents_of_the_same_tokens_leave_the_parts_alone(run: Path) -> None:
    build_index(run)
    before = parts_of(run)
    shutil.rmtree(run / "curate")
    build_index(run)
    assert parts_of(run) == before and open_index(run).record.files == []


def flip(path: Path, at: int) -> None:
    with path.open("r+b") as file:
        file.seek(at, os.SEEK_SET if at >= 0 else os.SEEK_END)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 4]))


def cut(path: Path, size: int) -> None:
    with path.open("r+b") as file:
        file.truncate(size)


DAMAGE = {
    "a flipped bit of the text": (lambda folder: flip(folder / "part-00000.bin", -7), "sha256 differs"),
    "a flipped bit of the places": (lambda folder: flip(folder / "part-00000.bin", 50_000), "sha256 differs"),
    "a flipped bit of the header": (lambda folder: flip(folder / "part-00000.bin", 20), "it is of another index"),
    "cut short": (lambda folder: cut(folder / "part-00000.bin", 100_000), "it is cut short"),
    "cut in its header": (lambda folder: cut(folder / "part-00000.bin", 30), "it is cut short"),
    "empty": (lambda folder: cut(folder / "part-00000.bin", 0), "it is empty"),
    "another file": (lambda folder: (folder / "part-00000.bin").write_bytes(b"x" * 1000), "it is of another index"),
    "index.json": (lambda folder: flip(folder / "index.json", 40), "checksum differs|is not JSON"),
    "index.json cut short": (lambda folder: cut(folder / "index.json", 20), "is not JSON"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_index_is_refused_in_one_line(run: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    build_index(run)
    open_index(run)
    folder = run / "trace" / "train"
    damage, reason = DAMAGE[kind]
    damage(folder)
    assert altiplano(["trace", str(run), "no such text"]) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert re.search(f"{folder}/.* is damaged \\(.*({reason}).*\\): remove {folder}, and", said, re.IGNORECASE), said
    shutil.rmtree(folder)
    assert altiplano(["trace", str(run), "no such text"]) == 0


def test_a_part_that_cannot_be_read_is_not_called_damaged(run: Path) -> None:
    build_index(run)
    part = run / "trace" / "train" / "part-00000.bin"
    part.unlink()
    part.mkdir()
    with pytest.raises(InputError, match=r"part-00000.bin cannot be read \(Is a directory\)"):
        open_index(run)


def test_parts_of_another_index_are_refused(run: Path, tmp_path: Path, tokenizer: Tokenizer) -> None:
    other = make_run(tmp_path / "other", tokenizer, [[Made("something else")]])
    build_index(run)
    build_index(other)
    shutil.copy(other / "trace/train/part-00000.bin", run / "trace/train/part-00000.bin")
    with pytest.raises(InputError, match=r"part-00000.bin is damaged \(it is of another index\)"):
        open_index(run)


def test_damaged_shards_are_not_indexed(run: Path) -> None:
    flip(run / "tokenize" / "train" / "web.en.bin", 1000)
    with pytest.raises(InputError, match=r"web.en.bin is not what tokenize wrote"):
        build_index(run)


def test_places_are_compared_with_the_shards(run: Path) -> None:
    """Damage of the shards that came after the index was built is not told as an origin."""
    build_index(run)
    index = open_index(run)
    text = index.tokenizer.decode(index.shards[0].document(0).tolist())
    assert index.places(text[10:60])
    flip(run / "tokenize" / "train" / "web.en.bin", 24)
    with pytest.raises(InputError, match=r"document 0 of web.en has another text"):
        open_index(run).places(text[10:60])


def test_an_index_that_only_moved_is_sound(run: Path, tmp_path: Path) -> None:
    build_index(run)
    moved = shutil.copytree(run, tmp_path / "moved", copy_function=shutil.copyfile)
    assert open_index(moved).count("e") == open_index(run).count("e") > 0


def test_a_second_command_waits_its_turn(run: Path) -> None:
    folder = run / "trace" / "train"
    folder.mkdir(parents=True)
    with (folder / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(InputError, match="another command is building the index in"):
            build_index(run)
    build_index(run)


def test_without_an_index_the_error_says_how_to_build_one(run: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"has no index: altiplano trace .* TEXT builds it"):
        open_index(run)
    with pytest.raises(InputError, match=r"no run at .*: give a run's folder"):
        build_index(tmp_path / "nowhere")
    with pytest.raises(InputError, match="has no token shards: altiplano tokenize RECIPE --workspace"):
        build_index(tmp_path)


def test_without_the_extra_the_error_names_it(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pydivsufsort", None)
    with pytest.raises(
        InputError, match=r'altiplano trace needs the optional packages: pip install "altiplano\[corpus\]"'
    ):
        build_index(run)


def test_a_document_that_is_too_long_for_the_index_is_named(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("altiplano.trace.text_part.MOST", 1000)
    monkeypatch.setattr("altiplano.trace.build.processors", lambda: 1)
    with pytest.raises(InputError, match=r"the most are 1,000: .*; lower corpus.quality.max_characters"):
        build_index(run)


def test_a_full_disk_is_one_line_and_the_same_command_goes_on(made: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    made_disk = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=5m", "tmpfs", disk], check=False, capture_output=True
    )
    if made_disk.returncode:
        pytest.skip("mounting a small disk needs root")
    try:
        run = shutil.copytree(made, disk / "run")
        process = start("trace", run, "no such text")
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 2 and "Traceback" not in errors, errors
        assert "disk is full" in errors.splitlines()[-1]
        before = parts_of(run)
        assert 0 < len(before) < PARTS
        subprocess.run(["mount", "-o", "remount,size=50m", disk], check=True)
        finish(start(run))
        assert parts_of(run).items() >= before.items()
    finally:
        subprocess.run(["umount", disk], check=True)
