from pathlib import Path

import numpy as np
import pytest

from altiplano.errors import InputError
from altiplano.tokens.shards import ShardWriter, read_shards, token_dtype, verify_shards, write_list


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
