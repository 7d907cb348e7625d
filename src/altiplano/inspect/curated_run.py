"""A run's curated documents, opened for reading."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from altiplano.corpus.audit.audit import groups_of
from altiplano.corpus.filters.limits import GroupLimits
from altiplano.errors import InputError
from altiplano.execution import files
from altiplano.optional_imports import extra
from altiplano.recipe.schema import CorpusConfig
from altiplano.records import Audit, StageManifest
from altiplano.storage import listed, read_if_there


@dataclass(frozen=True)
class Curated:
    """What the curate stage of the run ``run`` published in ``folder``."""

    run: Path
    folder: Path
    audit: Audit
    corpus: CorpusConfig
    """The settings that it was curated with."""

    @cached_property
    def parts(self) -> list[Path]:
        return listed(self.folder / "documents", "part-*.parquet")

    @cached_property
    def groups(self) -> list[GroupLimits]:
        return groups_of(self.audit.thresholds) if self.audit.thresholds else []


def open_curated(run: Path) -> Curated:
    """Raises InputError when there is no such run, or none that this version can read."""
    if not run.is_dir():
        raise InputError(f"no run at {run}: give a run's folder, such as runs/quickstart")
    folder = run / "curate"
    audit = read_if_there(folder / "audit.json", Audit.read)
    manifest = read_if_there(folder / "manifest.json", StageManifest.read)
    if audit is None or manifest is None:
        raise InputError(f"{run} has no curated documents: altiplano curate RECIPE --workspace {run}")
    try:
        corpus = CorpusConfig.model_validate(manifest.recipe["corpus"])
    except (KeyError, ValidationError) as error:
        raise InputError(f"{folder} was written by another version ({manifest.version}): curate again") from error
    curated = Curated(run, folder, audit, corpus)
    if not curated.parts:
        raise InputError(f"{folder}/documents has no part-*.parquet: curate again")
    return curated


def rows(parts: list[Path], columns: list[str], condition: Any = None) -> Iterator[dict[str, Any]]:
    """The rows that fulfil a pyarrow expression, in order, some at a time.

    Only ``columns`` are read, and those that the expression needs.
    """
    read = extra("pyarrow.dataset").dataset([str(part) for part in parts], format="parquet")
    # readahead off: else a whole part is held although a few rows are wanted
    scanner = read.scanner(
        columns=columns, filter=condition, batch_size=files.BATCH, batch_readahead=1, fragment_readahead=1
    )
    for batch in scanner.to_batches():
        yield from batch.to_pylist()
