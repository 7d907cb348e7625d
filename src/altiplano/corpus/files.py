"""Files that are either whole or absent: write to a temporary name, fsync, rename."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from altiplano.corpus.extras import extra
from altiplano.disk import sync

TEMPORARY = ".tmp"


def publish(path: Path, write: Callable[[Path], None]) -> None:
    """Let ``write`` fill a temporary file beside ``path``, then move it into place. The folder is synced too."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # named by process: a killed run's orphan may still be writing its own
    temporary = path.with_name(f"{path.name}.{os.getpid()}{TEMPORARY}")
    write(temporary)
    sync(temporary)
    temporary.replace(path)
    sync(path.parent)


def write_json(path: Path, value: Any) -> None:
    text = json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True) + "\n"
    publish(path, lambda temporary: _write_text(temporary, text))


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def write_table(path: Path, table: Any, row_group: int = 2048) -> None:
    """A pyarrow table as Parquet; the same table gives the same bytes."""
    parquet = extra("pyarrow.parquet")
    publish(path, lambda temporary: parquet.write_table(table, temporary, compression="zstd", row_group_size=row_group))


def read_table(path: Path, columns: list[str] | None = None, filters: Any = None) -> Any:
    return extra("pyarrow.parquet").read_table(path, columns=columns, filters=filters)


def remove_temporaries(folder: Path) -> None:
    """What a killed run left half written."""
    for path in sorted(folder.rglob(f"*{TEMPORARY}")):
        path.unlink(missing_ok=True)


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
