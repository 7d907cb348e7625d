from pathlib import Path

import numpy as np
import pytest

from altiplano.errors import InputError
from altiplano.peak_memory import peak_memory
from altiplano.tokens import training_data
from altiplano.tokens.loader import read_batch
from altiplano.tokens.shards import (
    HEADER,
    MAGIC,
    Shard,
    ShardCheck,
    ShardWriter,
    index_size,
    read_shards,
    token_dtype,
    verify_shards,
    write_list,
)


def write(folder: Path, vocabulary: int, documents: list[list[int]]) -> None:
    writer = ShardWriter(folder / "train" / "web.en", token_dtype(vocabulary))
    for document in documents:
        writer.add(document, 3 * len(document))
    write_list(folder, [writer.close("train", "web", "en")], vocabulary)


@pytest.mark.parametrize("vocabulary", [512, 65_536, 65_537, 128_256])
def test_documents_read_back(tmp_path: Path, vocabulary: int) -> None:
    documents = [[1, 2, 3], [vocabulary - 1], list(range(100))]
    write(tmp_path, vocabulary, documents)
    (shard,) = read_shards(tmp_path, "train")
    assert [shard.document(i).tolist() for i in range(len(shard))] == documents
    assert shard.data.itemsize == (2 if vocabulary <= 65_536 else 4)
    assert shard.document_bytes.tolist() == [9, 3, 300]
    assert (shard.name, shard.tokens, shard.bytes) == ("web.en", 104, 312)
    verify_shards(tmp_path)


def test_the_index_is_megatrons(tmp_path: Path) -> None:
    write(tmp_path, 512, [[5, 6], [7, 8, 9]])
    raw = (tmp_path / "train" / "web.en.idx").read_bytes()
    assert raw[:9] == b"MMIDIDX\x00\x00"
    assert int.from_bytes(raw[9:17], "little") == 1  # version
    assert raw[17] == 8  # uint16
    assert np.frombuffer(raw, np.int64, 2, 18).tolist() == [2, 3]  # sequences, document boundaries
    assert np.frombuffer(raw, np.int32, 2, 34).tolist() == [2, 3]  # lengths
    assert np.frombuffer(raw, np.int64, 2, 42).tolist() == [0, 4]  # byte offsets
    assert np.frombuffer(raw, np.int64, 3, 58).tolist() == [0, 1, 2]
    assert len(raw) == 82


def test_damage_is_named(tmp_path: Path) -> None:
    write(tmp_path, 512, [[5, 6], [7, 8, 9]])
    tokens = tmp_path / "train" / "web.en.bin"
    tokens.write_bytes(tokens.read_bytes()[:-2] + b"\x01\x01")
    with pytest.raises(InputError, match=r"web\.en\.bin is not what tokenize wrote"):
        verify_shards(tmp_path)
    tokens.write_bytes(b"\x01\x01")
    with pytest.raises(InputError, match="has 1 tokens, its manifest says 5"):
        _ = read_shards(tmp_path, "train")[0].data
    tokens.unlink()
    with pytest.raises(InputError, match="cannot be read"):
        _ = read_shards(tmp_path, "train")[0].data
    (tmp_path / "train" / "web.en.idx").write_bytes(b"nonsense")
    with pytest.raises(InputError, match="is not a token index"):
        read_shards(tmp_path, "train")[0].document(0)
    (tmp_path / "shards.json").write_text("{")
    with pytest.raises(InputError, match=r"shards\.json is damaged"):
        read_shards(tmp_path, "train")


def test_a_long_index_is_not_read(tmp_path: Path) -> None:
    """Of a hundred million documents, which would be two gigabytes."""
    path, documents = tmp_path / "web.en", 10**8
    with path.with_name("web.en.idx").open("wb") as index:
        index.write(HEADER.pack(MAGIC, 1, 8, documents, documents + 1))
        index.truncate(index_size(documents))
    path.with_name("web.en.bin").write_bytes(b"\0\0" * 7)
    before = peak_memory()
    shard = Shard(path, "train", "web", "en", documents, 7, 7)
    assert len(shard.data) == 7 and shard.begin(10**7) == 0 and len(shard.lengths) == documents
    assert peak_memory() - before < 50e6


def test_sizes_are_always_looked_at_and_bytes_within_a_limit(tmp_path: Path) -> None:
    write(tmp_path, 512, [[5, 6], [7, 8, 9]])
    tokens, index = tmp_path / "train" / "web.en.bin", tmp_path / "train" / "web.en.idx"
    assert verify_shards(tmp_path) == ShardCheck(3, 1, 10, 1, 10)
    assert verify_shards(tmp_path, limit=9) == ShardCheck(3, 1, 10, 0, 0)
    raw = tokens.read_bytes()
    tokens.write_bytes(raw[:-2] + b"\x01\x01")
    assert verify_shards(tmp_path, limit=9).read == 0
    with pytest.raises(InputError, match="sha256 differs"):
        verify_shards(tmp_path, limit=10)
    tokens.write_bytes(raw + b"\0")
    with pytest.raises(InputError, match=r"web\.en\.bin is not what tokenize wrote \(11 bytes\)"):
        verify_shards(tmp_path, limit=0)
    tokens.write_bytes(raw)
    index.write_bytes(index.read_bytes()[:-1])
    with pytest.raises(InputError, match=r"web\.en\.idx is not what tokenize wrote"):
        verify_shards(tmp_path, limit=0)


def test_few_of_many_shards_are_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_data, "MAPPED", 2)
    writers = [ShardWriter(tmp_path / "train" / f"web.en-{number:05d}", np.uint16) for number in range(6)]
    for number, writer in enumerate(writers):
        writer.add([number] * 9, 9)
    write_list(tmp_path, [writer.close("train", "web", "en") for writer in writers], 512)
    data = training_data.TrainingData(read_shards(tmp_path, "train"), 4, bos=600, seed=0)
    seen = read_batch(data, range(data.windows)).tokens
    assert sorted(set(seen.flatten().tolist())) == [0, 1, 2, 3, 4, 5]
    if Path("/proc/self/maps").exists():
        assert Path("/proc/self/maps").read_text().count(str(tmp_path)) <= 2
