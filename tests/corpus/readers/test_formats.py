"""What the readers of WET, LaTeX, JATS and MediaWiki take and leave out."""

import bz2
import gzip

import pyarrow as pa
import pytest

from altiplano.corpus.extraction.extract import extract
from altiplano.corpus.extraction.jats import text_of_jats
from altiplano.corpus.extraction.latex.text_of_latex import text_of_latex
from altiplano.corpus.readers.formats import arxiv, jats_articles, mediawiki_dump
from altiplano.corpus.readers.web_archives import warc
from corpus.support import split, tar


def wet_record(url: str, body: str) -> bytes:
    data = body.encode()
    head = "WARC/1.0\r\nWARC-Type: conversion\r\nWARC-Record-ID: <urn:x>\r\nWARC-Date: 2026-01-01T00:00:00Z\r\n"
    head += f"WARC-Target-URI: {url}\r\n"
    return (head + f"Content-Type: text/plain\r\nContent-Length: {len(data)}\r\n\r\n").encode() + data + b"\r\n\r\n"


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
def test_wet_files_are_text_already(tmp_path, suffix):
    data = b"".join(wet_record(f"https://a.example/{i}", f"Seite {i}: schöne Wörter") for i in range(3))
    if suffix == ".gz":
        data = gzip.compress(data)
    elif suffix == ".zst":
        sink = pa.BufferOutputStream()
        with pa.CompressedOutputStream(sink, "zstd") as stream:
            stream.write(data)
        data = sink.getvalue().to_pybytes()
    path = tmp_path / f"a.wet{suffix}"
    path.write_bytes(data)
    raw, bad = split(warc.read(path, "a"))
    assert [(r.url[-1], r.markup, r.text) for r in raw] == [
        (str(i), "text", f"Seite {i}: schöne Wörter") for i in range(3)
    ]
    assert not bad


def test_latex_projects_are_joined_and_editions_told_apart(tmp_path):
    body = "\\section{One} " + "The body of the book. " * 50
    path = tar(
        tmp_path / "p.tar.gz",
        {
            "p/main.tex": b"\\documentclass{a}\\input macros\n\\begin{document}\\include{parts/one}\n%\\input{draft}\n",
            "p/a4.tex": b"\\documentclass[a4]{a}\\input{macros}\\begin{document}\\include{parts/one}",
            "p/macros.tex": b"\\newcommand{\\R}{\\mathbb{R}}",
            "p/parts/one.tex": body.encode(),
            "p/draft.tex": b"A draft that nothing brings in.",
        },
    )
    raw, bad = split(arxiv.read(path, "p"))
    assert [r.place for r in raw] == ["p/p/main.tex", "p/p/draft.tex"]
    assert [b.reason for b in bad] == ["left out: another edition of the same text"]
    assert text_of_latex(raw[0].text).startswith("## One\n\nThe body of the book.")


def test_one_tar_of_many_submissions(tmp_path):
    inner = tar(
        tmp_path / "inner.tar.gz",
        {"main.tex": b"\\documentclass{x}\\begin{document}\\input{s}\\end{document}", "s.tex": b"Joined."},
    )
    single = gzip.compress(b"\\documentclass{x}\\begin{document}Alone.\\end{document}")
    pdf = gzip.compress(b"%PDF-1.5")
    path = tar(
        tmp_path / "arXiv_src_2401_001.tar.gz",
        {
            "2401/2401.00001.gz": inner.read_bytes(),
            "2401/2401.00002.gz": single,
            "2401/3.gz": pdf,
            "2401/4.gz": single[:20],
        },
    )
    raw, bad = split(arxiv.read(path, "t"))
    assert [text_of_latex(r.text) for r in raw] == ["Joined.", "Alone."]
    assert raw[0].place == "t/2401/2401.00001.gz/main.tex"
    assert [b.reason for b in bad] == ["left out: submission without LaTeX", "damaged submission"]


def test_jats_articles(tmp_path):
    xml = """<!DOCTYPE article><article xmlns:mml="http://www.w3.org/1998/Math/MathML"><front><article-meta>
<title-group><article-title>On <italic>bees</italic></article-title></title-group><contrib>A. Author</contrib>
<abstract><p>We count bees.</p></abstract></article-meta></front><body>
<sec><title>Methods</title><p>We used <xref ref-type="bibr" rid="b1">[1]</xref>nets, H<sub>2</sub>O and
<inline-formula><tex-math>\\begin{document}$x^2$\\end{document}</tex-math></inline-formula>.</p>
<sec><title>Nets</title><list><list-item><p>fine</p></list-item><list-item><p>coarse</p></list-item></list></sec>
<fig><caption><p>A picture.</p></caption></fig>
<table-wrap><label>Table 1</label><caption><p>Counts</p></caption>
<table><tr><th>day</th><th>bees</th></tr><tr><td>1</td><td>20</td></tr></table></table-wrap>
</sec></body><back><ref-list><ref><mixed-citation>Nobody 1999</mixed-citation></ref></ref-list></back></article>"""
    (tmp_path / "a.nxml").write_text(xml)
    (tmp_path / "b.xml").write_text("<html/>")
    (raw,), _ = split(jats_articles.read(tmp_path / "a.nxml", "a.nxml"))
    assert extract(raw) == (
        "# On bees\n\n## Abstract\n\nWe count bees.\n\n## Methods\n\nWe used nets, H_2O and $x^2$.\n\n### Nets\n\n"
        "- fine\n- coarse\n\nA picture.\n\nTable 1. Counts\n\n| day | bees |\n| 1 | 20 |"
    )
    assert split(jats_articles.read(tmp_path / "b.xml", "b.xml"))[1][0].reason == "no <article> in the XML"
    assert text_of_jats("") == "" and "left" in text_of_jats("<article><body><p>left open")


DUMP = """<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/">
<siteinfo><base>https://xx.wiki.example/wiki/Main</base></siteinfo>
<page><title>Blue whale</title><ns>0</ns>
<revision><text>A '''whale'''.&lt;ref&gt;no&lt;/ref&gt;</text></revision></page>
<page><title>Talk:Blue</title><ns>1</ns><revision><text>chat</text></revision></page>
<page><title>Old</title><ns>0</ns><redirect title="Blue whale"/><revision><text>#REDIRECT</text></revision></page>
</mediawiki>"""


@pytest.mark.parametrize("packed", [lambda data: data, gzip.compress, bz2.compress])
def test_mediawiki_dumps(tmp_path, packed):
    suffix = {bz2.compress: ".bz2", gzip.compress: ".gz"}.get(packed, "")
    path = tmp_path / f"a.xml{suffix}"
    path.write_bytes(packed(DUMP.encode()))
    (raw,), bad = split(mediawiki_dump.read(path, "a"))
    assert raw.url == "https://xx.wiki.example/wiki/Blue_whale" and extract(raw) == "# Blue whale\n\nA whale."
    assert [b.reason for b in bad] == ["left out: not in the article namespace", "left out: redirect"]
    path.write_bytes(packed(DUMP.encode()[:-200]))
    raw, bad = split(mediawiki_dump.read(path, "a"))
    assert len(raw) == 1 and bad[-1].reason == "damaged dump, the rest is lost"
