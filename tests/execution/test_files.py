"""Rows of Parquet files read one by one."""

import pyarrow as pa

from altiplano.execution import files


def test_a_row_is_found_in_its_row_group(tmp_path):
    path = tmp_path / "rows.parquet"
    tables = [pa.table({"n": list(range(low, low + 3)), "text": [str(low)] * 3}) for low in (0, 3, 6)]
    files.write_tables(path, tables[0].schema, tables)
    assert [files.read_row(path, row, ["n"]) for row in range(9)] == [{"n": row} for row in range(9)]
    assert files.read_row(path, 7, ["text", "n"]) == {"text": "6", "n": 7}
