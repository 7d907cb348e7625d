"""Challenges to a run's curation."""

import multiprocessing
import os
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from altiplano.corpus import annotate
from altiplano.corpus.extraction.extract import extract
from altiplano.corpus.readers.raw import RawDocument
from altiplano.execution import local
from altiplano.recipe.schema import CorpusConfig, SourceConfig
from altiplano.stages.challenges import Auditor


def test_a_document_that_ends_its_process_does_not_end_the_audit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "ab":
        (tmp_path / f"{name}.txt").write_text(f"{name} word " * 50)
    source = SourceConfig(name="s", domain="web", format="text", path="*.txt")

    def dies(raw: RawDocument, mode: Any = "quality") -> str:
        if raw.place == "b.txt":
            os.kill(os.getpid(), signal.SIGKILL)
        return extract(raw, mode)

    monkeypatch.setattr(annotate, "extract", dies)
    monkeypatch.setattr(local, "get_context", lambda _: multiprocessing.get_context("fork"))  # with what is patched
    documents = tmp_path / "curate" / "documents"
    documents.mkdir(parents=True)
    pq.write_table(pa.table({"id": pa.array([], pa.string()), "text": []}), documents / "part-00000.parquet")
    auditor = Auditor.__new__(Auditor)
    auditor.run, auditor.random = tmp_path, np.random.default_rng(0)
    recipe: Any = SimpleNamespace(corpus=CorpusConfig(root=tmp_path, sources=(source,)), seed=1)
    auditor.recipe = recipe
    what, problem = auditor.curation()
    assert what == "shard 0 of s, 1 documents" and problem.startswith("1 documents are in one")
