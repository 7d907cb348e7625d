"""Documents to token shards: the same bytes by any number of processes, and after any kill."""

import os
import random
import signal
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from altiplano.execution.map_shards import open_engine
from altiplano.tokens import encode
from altiplano.tokens.encode import encode_documents
from altiplano.tokens.shards import read_shards, verify_shards
from altiplano.tokens.tokenizer import Tokenizer

WORDS = [f"{a}{b}{c}" for a in "bdgkmt" for b in "aeiou" for c in ("n", "r", "st", "lo", "ma")]
GROUPS = [("web", "en"), ("web", "de"), ("code", "code")]


@pytest.fixture(scope="module")
def curated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("curated")
    (folder / "documents").mkdir()
    generator = random.Random(0)
    for part in range(5):
        rows = []
        for _ in range(700 if part else 1):
            domain, language = generator.choice(GROUPS)
            text = " ".join(generator.choices(WORDS, k=generator.randrange(1, 60)))
            split = generator.choice(["train"] * 8 + ["heldout", ""])
            rows.append({"text": text, "domain": domain, "language": language, "split": split, "words": 3})
        parquet.write_table(pa.Table.from_pylist(rows), folder / "documents" / f"part-{part:05d}.parquet")
    return folder


@pytest.fixture(scope="module")
def tokenizer(curated: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokenizer")
    texts = [row["text"] for row in encode.documents(encode.document_files(curated), "train")]
    Tokenizer.train(texts, 640).save(folder)
    return folder


def encoded(curated: Path, tokenizer: Path, folder: Path, workers: int) -> dict[str, bytes]:
    with open_engine("local", workers) as engine:
        encode_documents(curated, tokenizer, folder, engine)
    return contents(folder)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_every_document_is_in_its_shard_in_order(curated: Path, tokenizer: Path, tmp_path: Path) -> None:
    encoded(curated, tokenizer, tmp_path, 1)
    encoder = Tokenizer.load(tokenizer)
    expected = defaultdict(list)
    for row in encode.documents(encode.document_files(curated)):
        expected[row["split"], f"{row['domain']}.{row['language']}"].append(row)
    shards = [shard for split in ("train", "heldout") for shard in read_shards(tmp_path, split)]
    assert {(shard.split, shard.name) for shard in shards} == expected.keys()
    for shard in shards:
        rows = expected[shard.split, shard.name]
        assert [shard.document(at).tolist() for at in range(len(shard))] == [
            [encoder.bos, *encoder.encode(row["text"]), encoder.eos] for row in rows
        ]
        assert shard.document_bytes.tolist() == [len(row["text"].encode()) for row in rows]
        assert shard.words == 3 * len(rows) and shard.tokens == len(shard.data) == int(shard.lengths.sum())
    verify_shards(tmp_path)
    assert not (tmp_path / "pieces").exists() and not (tmp_path / "joined").exists()


def test_large_groups_are_several_shards(
    curated: Path, tokenizer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded(curated, tokenizer, tmp_path / "whole", 1)
    monkeypatch.setattr(encode, "SHARD_TOKENS", 20_000)
    encoded(curated, tokenizer, tmp_path / "parts", 1)
    verify_shards(tmp_path / "parts")
    for split in ("train", "heldout"):
        whole = {shard.name: shard for shard in read_shards(tmp_path / "whole", split)}
        parts = defaultdict(list)
        for shard in read_shards(tmp_path / "parts", split):
            parts[shard.name].append(shard)
        for name, shard in whole.items():
            assert (np.concatenate([part.data for part in parts[name]]) == shard.data).all()
            if split == "train":
                assert len(parts[name]) > 1 and all(part.tokens <= 20_000 for part in parts[name])
            else:
                assert len(parts[name]) == 1


def test_processes_write_the_same_bytes(curated: Path, tokenizer: Path, tmp_path: Path) -> None:
    one = encoded(curated, tokenizer, tmp_path / "one", 1)
    assert one == encoded(curated, tokenizer, tmp_path / "two", 2)
    assert one == encoded(curated, tokenizer, tmp_path / "two", 2)  # done: nothing is written again


PROGRAM = """
import sys, time
from pathlib import Path
from altiplano.execution.map_shards import open_engine
from altiplano.tokens import encode, tokenizer
slow = tokenizer.Tokenizer.encode_batch
def encode_batch(self, *arguments):
    time.sleep(0.05)
    return slow(self, *arguments)
tokenizer.Tokenizer.encode_batch = encode_batch
with open_engine("local", 1) as engine:
    print("begun", flush=True)
    encode.encode_documents(*map(Path, sys.argv[1:]), engine)
"""


def test_killed_anywhere_it_goes_on_to_the_same_bytes(curated: Path, tokenizer: Path, tmp_path: Path) -> None:
    expected = encoded(curated, tokenizer, tmp_path / "undisturbed", 1)
    folder, kills = tmp_path / "killed", 0
    command = [sys.executable, "-c", PROGRAM, str(curated), str(tokenizer), str(folder)]
    generator = random.Random(1)
    while True:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, env=os.environ)
        assert process.stdout is not None and process.stdout.readline() == b"begun\n"
        if kills < 6:
            time.sleep(generator.uniform(0.02, 0.5))
            process.send_signal(signal.SIGKILL)
        if process.wait() == 0:
            break
        kills += 1
        assert kills < 20
    assert kills > 1 and contents(folder) == expected
