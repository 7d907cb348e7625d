"""EPUB, PDF, ZIM and papers' metadata: files made here, some of them damaged."""

import io
import json
import zipfile

import pytest

from altiplano.corpus.extraction.extract import extract
from altiplano.corpus.readers.archives.archive import LOST
from altiplano.corpus.readers.formats import epub, paper_metadata, pdf, zim
from altiplano.corpus.readers.raw import TOO_LONG, BadRecord, FileRead, NoTextError, RawDocument, taken_of

CONTAINER = (
    '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
    '<rootfile full-path="OEBPS/book.opf" media-type="application/oebps-package+xml"/></rootfiles></container>'
)
PACKAGE = (
    '<package xmlns="http://www.idpf.org/2007/opf"><manifest>'
    '<item id="b" href="text/two%20b.xhtml"/><item id="a" href="text/one.xhtml"/><item id="n" href="nav.xhtml"/>'
    '</manifest><spine><itemref idref="a"/><itemref idref="b"/></spine></package>'
)


def page(body):
    return f'<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><head><title>T</title></head><body>{body}</body></html>'


def book(**changes):
    files = {
        "mimetype": "application/epub+zip",
        "META-INF/container.xml": CONTAINER,
        "OEBPS/book.opf": PACKAGE,
        "OEBPS/text/two b.xhtml": page("<h1>Two</h1><p>The end of it.</p><pre>x = 1\n\ny = 2</pre>"),
        "OEBPS/text/one.xhtml": page("<h1>One</h1><p>It began at 10<sup>6</sup>.</p>"),
        "OEBPS/nav.xhtml": page("<nav>One Two</nav>"),
        "OEBPS/cover.jpg": "no text" * 100,
    } | changes
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return packed.getvalue()


def read(reader, path, data):
    path.write_bytes(data)
    records = list(reader(path, path.name))
    end = records[-1] if records and isinstance(records[-1], FileRead) else FileRead(0, {})
    taken = sum(taken_of(record) for record in records if not isinstance(record, FileRead))
    assert end.unpacked == taken + sum(end.framing.values())
    return records


def documents(records):
    return [record for record in records if isinstance(record, RawDocument)]


def reasons(records):
    return sorted(record.reason for record in records if isinstance(record, BadRecord))


def test_a_book_is_one_document_in_its_reading_order(tmp_path):
    records = read(epub.read, tmp_path / "a.epub", book())
    (found,) = documents(records)
    text = extract(found)
    assert text.index("One") < text.index("10^6") < text.index("Two") < text.index("x = 1\n\ny = 2")
    assert reasons(records) == [
        "left out: not a kind of file that this format reads",
        "left out: page of a book outside of its reading order",
    ]


def test_captions_in_a_book(tmp_path):
    pictures = '<img src="a.png" alt="no text"/><svg><text>nor this</text></svg>'
    figure = f"<figure>{pictures}<figcaption>A dog.</figcaption></figure>"
    records = read(epub.read, tmp_path / "a.epub", book(**{"OEBPS/text/one.xhtml": page(f"<p>One.</p>{figure}")}))
    text = extract(documents(records)[0])
    assert "One.\n\nA dog." in text and "no text" not in text and "nor this" not in text


def test_books_in_an_archive_and_damaged_ones(tmp_path):
    shelf = io.BytesIO()
    with zipfile.ZipFile(shelf, "w") as archive:
        archive.writestr("good.epub", book())
        archive.writestr("cut.epub", book()[:400])
        archive.writestr("empty.epub", book(**{"OEBPS/book.opf": "<package/>"}))
    records = read(epub.read, tmp_path / "shelf.zip", shelf.getvalue())
    assert len(documents(records)) == 1
    assert {LOST, "book without a reading order"} <= set(reasons(records))
    assert reasons(read(epub.read, tmp_path / "no.epub", b"no book")) == ["damaged book"]


def test_a_page_that_is_missing_is_counted(tmp_path):
    package = PACKAGE.replace("</manifest>", '<item id="c" href="text/three.xhtml"/></manifest>')
    package = package.replace("</spine>", '<itemref idref="c"/></spine>')
    records = read(epub.read, tmp_path / "a.epub", book(**{"OEBPS/book.opf": package}))
    assert len(documents(records)) == 1 and "page that a book names and has not" in reasons(records)
    for broken in ("", "no XML at all", "\0"):
        found = read(epub.read, tmp_path / "b.epub", book(**{"OEBPS/book.opf": broken}))
        assert "book without a reading order" in reasons(found)


def test_in_an_archive_the_bytes_are_the_books(tmp_path):
    shelf = io.BytesIO()
    with zipfile.ZipFile(shelf, "w") as archive:
        archive.writestr("good.epub", book())
    records = read(epub.read, tmp_path / "shelf.zip", shelf.getvalue())
    assert [taken_of(record) for record in documents(records)] == [len(book())]


def make_pdf(*pages):
    """Pages of lines in Helvetica."""
    objects = [b"<< /Type /Catalog /Pages 2 0 R >>", b"", b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"]
    kids = []
    for lines in pages:
        shown = "".join(f"({line}) Tj 0 -14 Td " for line in lines)
        stream = f"BT /F1 12 Tf 50 750 Td {shown}ET".encode()
        objects.append(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream))
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents %d 0 R "
            b"/Resources << /Font << /F1 3 0 R >> >> >>" % len(objects)
        )
        kids.append(b"%d 0 R" % len(objects))
    objects[1] = b"<< /Type /Pages /Kids [%s] /Count %d >>" % (b" ".join(kids), len(kids))
    return pdf_of(objects)


def pdf_of(objects: list[bytes]) -> bytes:
    """A file of these objects, numbered from 1; the first is its root."""
    data, places = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, 1):
        places.append(len(data))
        data += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    size = len(objects) + 1
    return data + b"xref\n0 %d\n0000000000 65535 f \n%strailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF" % (
        size, table, size, len(data),
    )  # fmt: skip


def test_lines_of_a_pdf_become_paragraphs(tmp_path):
    pytest.importorskip("pypdfium2")
    lines = ["The first line of a page goes on to the fol-", "lowing one, and to the third one of them, which", "ends."]
    records = read(pdf.read, tmp_path / "a.pdf", make_pdf([*lines, "A heading"], ["Another page."]))
    (found,) = documents(records)
    assert extract(found).split("\n") == [
        "The first line of a page goes on to the following one, and to the third one of them, which ends.",
        "A heading",
        "",
        "Another page.",
    ]


def test_pdfs_without_text_or_damaged_are_counted(tmp_path):
    pytest.importorskip("pypdfium2")
    found = {"left out: PDF without text": make_pdf([]), "PDF that cannot be read": b"%PDF-1.4\n1 0 obj"}
    for reason, data in found.items():
        (document,) = documents(read(pdf.read, tmp_path / "a.pdf", data))
        with pytest.raises(NoTextError) as caught:
            extract(document)
        assert caught.value.record.reason == reason
    assert reasons(read(pdf.read, tmp_path / "no.txt", b"text")) == [
        "left out: not a kind of file that this format reads"
    ]


def test_a_book_whose_pages_are_more_than_a_record_may_be_is_not_held(tmp_path, monkeypatch):
    monkeypatch.setattr(epub, "MAX_RECORD_BYTES", 100_000)
    with zipfile.ZipFile(tmp_path / "a.epub", "w", zipfile.ZIP_DEFLATED) as book:
        for number in range(50):
            book.writestr(f"{number}.xhtml", "a" * 10_000)
    found = list(epub.read(tmp_path / "a.epub", "a.epub"))
    assert [one.reason for one in found if isinstance(one, BadRecord)] == [TOO_LONG]
    assert sum(taken_of(one) for one in found if isinstance(one, BadRecord)) == 500_000


def test_pages_of_a_zim(tmp_path):
    writer = pytest.importorskip("libzim.writer")

    class Item(writer.Item):
        def __init__(self, path, kind, content):
            super().__init__()
            self.path, self.kind, self.content = path, kind, content

        def get_path(self):
            return self.path

        def get_title(self):
            return self.path

        def get_mimetype(self):
            return self.kind

        def get_contentprovider(self):
            return writer.StringProvider(self.content)

        def get_hints(self):
            return {writer.Hint.FRONT_ARTICLE: self.kind == "text/html"}

    path = tmp_path / "wiki.zim"
    with writer.Creator(path) as creator:
        creator.add_item(Item("A/River", "text/html", page("<p>A river flows.</p>")))
        creator.add_item(Item("A/style.css", "text/css", "p { }"))
        creator.add_redirection("A/Stream", "Stream", "A/River", {})
    records = read(zim.read, path, path.read_bytes())
    (found,) = documents(records)
    assert found.url == "A/River" and "A river flows." in found.text and found.markup == "html"
    assert {"left out: redirect", "left out: not a page of HTML"} <= set(reasons(records))
    damaged = bytearray(path.read_bytes())
    damaged[:8] = b"\0" * 8
    assert reasons(read(zim.read, tmp_path / "no.zim", bytes(damaged))) == ["unreadable file"]


def lines(*rows):
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def test_abstracts_of_openalex(tmp_path):
    works = [
        {"id": "https://openalex.org/W1", "title": "On  rivers",
         "abstract_inverted_index": {"flow": [1, 3], "Rivers": [0], "and": [2]}},
        {"id": "W2", "title": "Retracted", "is_retracted": True, "abstract_inverted_index": {"a": [0]}},
        {"id": "W3", "title": "No abstract", "abstract_inverted_index": None},
        {"id": "W4", "title": None, "abstract_inverted_index": {"far": [10**12], "near": [5], "bad": "no list"}},
    ]  # fmt: skip
    records = read(paper_metadata.read_openalex, tmp_path / "works.jsonl", lines(*works) + b"[1]\n{no\n")
    assert [(found.url, found.text) for found in documents(records)] == [
        ("https://openalex.org/W1", "# On rivers\n\nRivers flow and flow"),
        ("W4", "near"),
    ]
    assert reasons(records) == [
        "left out: paper without an abstract",
        "left out: retracted paper",
        "malformed JSON line",
        "malformed JSON line",
        "words of an abstract without a place",
    ]


def test_abstracts_of_arxiv(tmp_path):
    paper = {"id": "2401.00001", "title": "A\n  title", "abstract": "  We show\nthat $x = 1$.  ", "license": None}
    records = read(paper_metadata.read_arxiv, tmp_path / "a.jsonl", lines(paper, {"id": "1", "title": "t"}))
    (found,) = documents(records)
    assert (found.url, found.text) == ("https://arxiv.org/abs/2401.00001", "# A title\n\nWe show that $x = 1$.")
    assert reasons(records) == ["left out: paper without an abstract"]
