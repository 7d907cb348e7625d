"""Every byte that comes out of a raw file is of a document, left out, lost, or what holds records together.

Two thousand damaged files: what is missing in comparison with the whole file is counted.
"""

import random

import pytest

from altiplano.corpus.readers.raw import BadRecord, FileRead, RawDocument, taken_of
from corpus.readers.made_files import COMPRESS, FILES, all_files, damaged

ALL = {name: (data, reader) for name, data, reader in all_files()}
EACH = 8
BOUNDARIES = (b"}", b"}\n", b"\r\n\r\n")
"""Between records of a plain file: nobody can tell that more came after a cut there."""

SLOW = 30
"""Damaged files of each kind."""


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


def check_damaged(tmp_path, name, count):
    data, reader = ALL[name]
    path = tmp_path / name
    whole = texts_of(read(path, data, reader))
    chosen = random.Random(name)
    for number in range(count):
        changed = damaged(data, chosen)
        records = read(path, changed, reader)
        assert_balanced(records, (name, number))
        missing = len(whole) - len(texts_of(records))
        bad = [record for record in records if isinstance(record, BadRecord)]
        counted = sum(record.records for record in bad if record.lost or record.reason.startswith("left out"))
        if missing > 0 and not (data.startswith(changed) and changed.endswith(BOUNDARIES)):
            assert counted, (name, number, missing, records)
            yield missing, counted


@pytest.mark.parametrize("name", ALL)
def test_what_damage_costs_is_counted(tmp_path, name):
    list(check_damaged(tmp_path, name, EACH))


@pytest.mark.slow
@pytest.mark.parametrize("name", ALL)
def test_what_damage_costs_is_counted_in_thousands_of_files(tmp_path, name):
    list(check_damaged(tmp_path, name, SLOW))
