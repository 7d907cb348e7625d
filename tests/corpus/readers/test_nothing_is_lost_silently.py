"""Every byte that comes out of a raw file is of a document, left out, lost, or what holds records together.

Two thousand damaged files: what is missing in comparison with the whole file is counted.
"""

import random

import pytest

from altiplano.corpus.readers.raw import BadRecord, FileRead, RawDocument, taken_of
from corpus.readers.made_files import COMPRESS, FILES, KINDS, all_files, damaged

ALL = {name: (data, reader) for name, data, reader in all_files()}
CHECKED = (".gz", ".bz2", ".xz", ".zip", ".parquet")
"""Formats with checksums."""

KINDS_SEEN = tuple(kind for kind in KINDS if kind != "out")
"""What nobody can see in plain text is a stretch that is missing."""

STARTS = (b'{"id"', '{"id"'.encode("utf-16-le"), b"WARC/")
"""Of records of a plain file: nobody can tell that more came after a cut between two of them."""

EACH = 30
"""Damaged files of each of 70 kinds."""


def read(path, data, reader):
    path.write_bytes(data)
    return list(reader(path, path.name))


def assert_balanced(records, name):
    (end,) = [record for record in records if isinstance(record, FileRead)] or [FileRead(0, {})]
    taken = sum(taken_of(record) for record in records if not isinstance(record, FileRead))
    assert end.unpacked == taken + sum(end.framing.values()), (name, records)
    assert all(size >= 0 for size in end.framing.values()), (name, end)
    assert all(taken_of(record) >= 0 for record in records if not isinstance(record, FileRead)), (name, records)
    return end.unpacked


@pytest.mark.parametrize("name", ALL)
def test_whole_files_are_accounted_for_to_the_byte(tmp_path, name):
    data, reader = ALL[name]
    records = read(tmp_path / name, data, reader)
    assert not any(isinstance(record, BadRecord) for record in records)
    assert any(isinstance(record, RawDocument) for record in records)
    unpacked = assert_balanced(records, name)
    plain = next((plain for plain, _ in FILES.items() if name in [plain + suffix for suffix in COMPRESS]), "")
    if not name.endswith((".zip", ".parquet")) and plain != "members.warc.gz":
        assert unpacked == len(FILES[plain][0])


def texts_of(records) -> list[str]:
    return sorted(record.text for record in records if isinstance(record, RawDocument))


@pytest.mark.parametrize("name", ALL)
def test_what_damage_costs_is_counted(tmp_path, name):
    data, reader = ALL[name]
    path = tmp_path / name
    whole = texts_of(read(path, data, reader))
    chosen = random.Random(name)
    for number in range(EACH):
        changed = damaged(data, chosen, KINDS if name.endswith(CHECKED) else KINDS_SEEN)
        records = read(path, changed, reader)
        assert_balanced(records, (name, number))
        missing = len(whole) - len(texts_of(records))
        bad = [record for record in records if isinstance(record, BadRecord)]
        is_between_records = data.startswith(changed) and data[len(changed) :].lstrip(b"\r\n\0").startswith(STARTS)
        assert missing <= 0 or bad or is_between_records, (name, number, missing, records)
