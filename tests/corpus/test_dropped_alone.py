"""Whatever a document raises, or its library does: it is dropped alone, counted once, and what is left adds up."""

import os
import re
import sys

import pytest

from altiplano.corpus import annotate
from altiplano.corpus.annotate import annotate_shard
from altiplano.corpus.curation import curate
from altiplano.errors import InputError
from altiplano.execution import document_limits as limits
from altiplano.execution import map_shards
from corpus.readers.test_books import make_pdf, pdf_of
from corpus.support import ESSAY, audit_of, contents, corpus, documents, small


class OwnError(Exception):
    pass


RAISED = [RuntimeError, AssertionError, ValueError, OSError, SystemExit, OwnError, re.error, StopIteration, ImportError]


def raising(monkeypatch, error: BaseException, where: str = "b.txt") -> None:
    extract = annotate.extract

    def raises(raw, mode="quality"):
        if raw.place == where:
            raise error
        return extract(raw, mode)

    monkeypatch.setattr(annotate, "extract", raises)


@pytest.mark.parametrize("kind", RAISED)
def test_what_a_document_raises_costs_that_document(tmp_path, monkeypatch, kind):
    (tmp_path / "raw").mkdir()
    one = small(tmp_path / "raw", {f"{name}.txt": text for name, text in zip("abc", ESSAY.split("\n# "), strict=False)})
    raising(monkeypatch, kind("broken"))
    curate(one, 0, tmp_path / "with", workers=1)
    monkeypatch.undo()
    (bad,) = audit_of(tmp_path / "with")["bad_records"]
    assert (bad["reason"], bad["count"]) == (f"cannot be annotated ({kind.__name__})", 1)
    assert audit_of(tmp_path / "with")["raw"]["documents"] == 2
    (tmp_path / "raw" / "b.txt").unlink()
    curate(one, 0, tmp_path / "without", workers=1)
    assert contents(tmp_path / "with" / "documents") == contents(tmp_path / "without" / "documents")


def test_a_model_that_cannot_be_read_is_no_fault_of_the_document(tmp_path, monkeypatch):
    (tmp_path / "raw").mkdir()
    one = small(tmp_path / "raw", {"a.txt": ESSAY, "b.txt": ESSAY})
    raising(monkeypatch, OSError(5, "Input/output error", "model.bin"))
    with pytest.raises((OSError, InputError), match=r"model\.bin"):
        curate(one, 0, tmp_path / "out", workers=1)


def test_documents_that_are_all_lost_are_more_than_a_corpus_may_lose(tmp_path, monkeypatch):
    (tmp_path / "raw").mkdir()
    texts = {f"{number}.txt": f"{number} {ESSAY}" for number in range(42)}
    one = small(tmp_path / "raw", texts, max_bad_records=0.5)
    extract = annotate.extract
    monkeypatch.setattr(annotate, "extract", lambda raw, mode: 1 / 0 if raw.place != "7.txt" else extract(raw, mode))
    with pytest.raises(InputError, match="41 of 42 records cannot be read"):
        curate(one, 0, tmp_path / "out", workers=1)


def nested(depth: int) -> bytes:
    """A PDF of 1.5 kB whose page draws a form that draws a form ten times, and so on."""
    forms = [b"/F%d Do " % (level + 1) * 10 for level in range(depth - 1)] + [b"BT /F1 12 Tf (Hello world) Tj ET"]
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>"
        b"/XObject<</F0 6 0 R>>>>>>",
        b"<</Length 6>>stream\n/F0 Do\nendstream",
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    for level, form in enumerate(forms):
        objects.append(
            b"<</Type/XObject/Subtype/Form/BBox[0 0 612 792]/Resources<</Font<</F1 5 0 R>>/XObject<</F%d %d 0 R>>>>"
            b"/Length %d>>stream\n%s\nendstream" % (level + 1, level + 7, len(form), form)
        )
    return pdf_of(objects)


def annotate_in_little_memory(task, **rest):
    limits.BYTES = 256 * 2**20
    annotate_shard(task, **rest)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux refuses memory")
def test_a_pdf_that_takes_a_machines_memory_is_left_out_alone(tmp_path, monkeypatch):
    """Where pdfium is refused memory it ends the process."""
    pytest.importorskip("pypdfium2")
    folder = tmp_path / "raw"
    folder.mkdir()
    lines = [ESSAY[start : start + 80].replace("\n", " ") for start in range(0, 2000, 80)]
    (folder / "a.pdf").write_bytes(make_pdf([line.encode("ascii", "ignore").decode() for line in lines]))
    curate(corpus(folder, format="pdf", path="*.pdf"), 0, tmp_path / "a", workers=1)
    (folder / "b.pdf").write_bytes(nested(7))
    (folder / "c.pdf").write_bytes(b"%PDF-1.4\n1 0 obj")
    (folder / "d.pdf").write_bytes(make_pdf([]))
    monkeypatch.setattr("altiplano.corpus.curation.annotate_shard", annotate_in_little_memory)
    curate(corpus(folder, format="pdf", path="*.pdf"), 0, tmp_path / "out", workers=2)
    audit = audit_of(tmp_path / "out")
    assert {bad["reason"]: bad["count"] for bad in audit["bad_records"]} == {
        annotate.FATAL: 1,
        "PDF that cannot be read": 1,
        "left out: PDF without text": 1,
    }
    assert audit["raw"]["documents"] == 1 and audit["balance"][0]["unaccounted"] == 0
    assert [row["text"] for row in documents(tmp_path / "out")] == [row["text"] for row in documents(tmp_path / "a")]


def test_curation_uses_another_process_where_there_is_one_processor(monkeypatch):
    """A document that ends it would end every run of the command."""
    monkeypatch.setattr(map_shards, "processors", lambda: 1)
    with map_shards.open_engine("local", None) as engine:
        assert next(engine.run(ends_its_process, [1]))[1] is not None


def ends_its_process(task: int) -> None:
    os._exit(9)
