"""What each format's reader takes, leaves out with a reason, and what its extractor makes of the markup."""

import bz2
import functools
import gzip
import http.server
import json
import threading
from collections import Counter

import fsspec
import pyarrow as pa
import pytest
from corpus_support import SAMPLES, split, tar, web_record

from altiplano.corpus.extraction.extract import extract
from altiplano.corpus.extraction.html import MAX_TAGS, MODES, main_part
from altiplano.corpus.extraction.jats import text_of_jats
from altiplano.corpus.extraction.latex import text_of_latex
from altiplano.corpus.extraction.markup import text_of_asciidoc, text_of_markdown, text_of_rst
from altiplano.corpus.extraction.mediawiki import text_of_wikitext
from altiplano.corpus.readers import arxiv, blocklist, code, jats_articles, jsonl, licence, mediawiki_dump, text, warc
from altiplano.corpus.readers.code import language_of, not_written
from altiplano.corpus.readers.listing import inputs, plan
from altiplano.corpus.readers.raw import RawDocument
from altiplano.corpus.readers.read import read
from altiplano.errors import InputError
from altiplano.recipe.schema import CorpusConfig, SourceConfig

MIT = (
    "MIT License\n\nPermission is hereby granted, free of charge, to any person obtaining a copy of this software, to "
    "deal in the Software without restriction."
)
GPL = "GNU GENERAL PUBLIC LICENSE\n  Version 3, 29 June 2007"


def corpus(root, **source) -> CorpusConfig:
    return CorpusConfig(
        root=root, sources=(SourceConfig(**{"name": "s", "domain": "web", "format": "text", **source}),)
    )


def everything(one: CorpusConfig):
    return split(record for task in plan(one) for record in read(task))


# --- web archives


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


def test_pages_reserved_by_their_publishers_are_counted_with_the_reason(tmp_path):
    def page(name: str, head: bytes = b"", header: str = "text/html") -> bytes:
        return web_record(
            f"https://a.example/{name}", b"<html><head>" + head + b"</head><p>words</p></html>", kind=header
        )

    records = [
        page("free", b'<meta name="robots" content="index, noarchive, noimageai">'),
        page("meta", b'<meta content="noindex,NOAI" name=robots>'),
        page("tdm", b"<meta name='tdm-reservation' content='1'>"),
        page("tdm0", b"<meta name='tdm-reservation' content='0'>"),
        page("header", header="text/html\r\nX-Robots-Tag: otherbot: noai"),
        page("tdm-header", header="text/html\r\nTDM-Reservation: 1"),
        page("prose", b"<title>noai explained</title>"),
    ]
    path = tmp_path / "a.warc.gz"
    path.write_bytes(b"".join(records))
    raw, bad = split(warc.read(path, "a"))
    assert [r.url.rpartition("/")[2] for r in raw] == ["free", "tdm0", "prose"]
    assert Counter(b.reason for b in bad) == {
        "left out: reserved by its publisher (noai)": 2,
        "left out: reserved by its publisher (tdm-reservation)": 2,
    }
    assert not any(b.lost for b in bad)


def test_blocklist_names_domains_and_paths(tmp_path):
    listed = "# spam\nbad.example\nhttps://www.News.example/paywall/\n\nxn--e1afmkfd.example # words\n"
    (tmp_path / "block.txt").write_text(listed)
    names = {
        "https://bad.example/": True, "http://www.bad.example/x?y": True, "https://deep.er.bad.example:8080/": True,
        "https://notbad.example/": False, "https://news.example/paywall/2024/a": True,
        "https://news.example/paywalled": False, "https://example/": False, "https://xn--e1afmkfd.example": True,
        "https://[broken/": False, "": False, "src/bad.example/file.c": False,
    }  # fmt: skip
    entries = blocklist.load(str(tmp_path), "block.txt")
    assert {url: blocklist.is_blocked(url, entries) for url in names} == names
    lines = "".join(json.dumps({"text": url, "url": url}) + "\n" for url in names if url)
    (tmp_path / "a.jsonl").write_text(lines)
    one = corpus(tmp_path, format="jsonl", path="a.jsonl", blocklist="block.txt", max_documents=4)
    raw, bad = everything(one)
    assert len(raw) == 4 and not any(names[r.url] for r in raw)
    assert {b.reason for b in bad} == {"left out: on the blocklist"}
    before = inputs(one)
    (tmp_path / "block.txt").write_text("other.example\n")
    assert inputs(one) != before
    with pytest.raises(InputError, match=r"corpus\.sources\.blocklist.*gone\.txt"):
        inputs(corpus(tmp_path, format="jsonl", path="a.jsonl", blocklist="gone.txt"))


def test_a_large_blocklist_loads_quickly(tmp_path):
    import time

    (tmp_path / "block.txt").write_text("".join(f"site{i}.example\n" for i in range(300_000)))
    begin = time.process_time()
    entries = blocklist.load(str(tmp_path), "block.txt")
    assert time.process_time() - begin < 3 and len(entries) == 300_000
    assert blocklist.load(str(tmp_path), "block.txt") is entries


PAGE = """<html><head><title>T</title></head><body><nav><a href="/">Home</a><a href="/x">More</a></nav>
<article class="post-content"><h1>Of loops</h1>{prose}
<p>The sum is <math><mi>x</mi><annotation encoding="application/x-tex">x^2+1</annotation></math> here, we find.</p>
<pre><code>for i in range(3):
    print(i)</code></pre>
<table><tr><th>name</th><th>size</th></tr><tr><td>alpha</td><td>12</td></tr></table>
<div class="share-buttons">Tweet this now</div></article><footer>© nobody</footer></body></html>"""


@pytest.mark.parametrize("mode", MODES)
def test_html_keeps_code_tables_and_formulas(mode):
    prose = "".join(
        f"<p>Paragraph {i} says something about loops that is long enough to be kept by all.</p>" for i in range(12)
    )
    found = MODES[mode](PAGE.format(prose=prose))
    assert "Paragraph 11 says" in found and "Tweet" not in found and "nobody" not in found
    assert "for i in range(3):\n    print(i)" in found
    assert "alpha" in found and "12" in found
    assert "x^2+1" in found


def test_hybrid_mode_falls_back_where_no_part_is_marked():
    prose = "".join(
        f"<p>Paragraph {i} says something about hills that is long enough to be kept.</p>" for i in range(12)
    )
    page = f"<html><body><div>{prose}</div></body></html>"
    assert MODES["hybrid"](page) == MODES["quality"](page) != ""
    assert MODES["hybrid"]("") == ""
    marked = f"<html><body><article>{prose}</article></body></html>"
    assert "hills" in main_part(marked) and not main_part(marked.replace(prose, prose[:200]))
    assert not main_part(marked.replace("</article>", "<b>" * MAX_TAGS + "</article>"))


def test_hybrid_and_quality_agree_on_the_samples():
    pages = [
        r for path in sorted(SAMPLES.glob("web/*.gz")) for r in warc.read(path, path.name) if isinstance(r, RawDocument)
    ]
    for page in pages[:30]:
        quality, hybrid = (set(MODES[mode](page.text).split()) for mode in ("quality", "hybrid"))
        assert len(quality & hybrid) > 0.8 * len(quality), page.url


# --- LaTeX


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
    assert [b.reason for b in bad] == ["damaged submission"]


def test_latex_macros_are_written_out():
    source = r"""\newcommand{\R}{\mathbb{R}} \newcommand\pair[2]{\langle #1, #2\rangle}
\DeclareMathOperator{\rank}{rank} \def\eps{\varepsilon} \newcommand{\opt}[1][x]{#1}
\begin{document}Let $x \in \R$ and $\pair{a}{b_{1}}$ of $\rank A < \eps$, $\opt$.\end{document}"""
    assert text_of_latex(source) == (
        r"Let $x \in \mathbb{R}$ and $\langle a, b_{1}\rangle$ of $\operatorname{rank} A < \varepsilon$, $\opt$."
    )


# --- JATS, MediaWiki


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
        "- fine\n- coarse\n\nCounts\n\n| day | bees |\n| 1 | 20 |"
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


def test_wikitext():
    source = """{{Infobox|name={{nested|[[x]]}}|y=1}}
'''Blue''' is a [[Color|colour]] of [[light]]s.<ref name="a">see [http://a.example x]</ref> [[File:S.jpg|The [[sky]]]]
== History ==
* one
** two [https://b.example/ site]
# three
{| class="wikitable"
|+ Shades
! name !! hex
|-
| style="x" | Navy || 000080
|-
| Azure
| 007FFF
|}
<math>a = \\frac{1}{2}</math> &amp; <code>[[raw]]</code><br/>end
<!-- hidden -->[[Category:Colours]]
== References ==
{{reflist}}
== Trivia ==
last"""
    assert text_of_wikitext(source) == (
        "Blue is a colour of lights.\n\n## History\n\n- one\n  - two site\n- three\n\nShades\n"
        "| name | hex |\n| Navy | 000080 |\n| Azure | 007FFF |\n\n"
        "$a = \\frac{1}{2}$ & [[raw]]\nend\n\n## Trivia\n\nlast"
    )
    assert text_of_wikitext("}} ]] |} {{never [[closed") == "}} ]] |} {{never [[closed"
    assert text_of_wikitext("{{" * 20_000 + "x" + "}}" * 20_000) == ""


# --- Markdown and its kin


def test_markdown():
    source = (
        '---\ntitle: "Of hills"\nlayout: x\n---\n\nimport A from "./a";\n\n'
        "Text <!-- no --> {/* no */}![a hill](h.png) goes on.\n\n"
        "```md\n<!-- kept -->\n![kept](x)\n```\n\n| a | b |\n|---|---|\n"
    )
    assert text_of_markdown(source) == (
        "# Of hills\n\n\nText  a hill goes on.\n\n```md\n<!-- kept -->\n![kept](x)\n```\n\n| a | b |\n|---|---|"
    )
    assert text_of_markdown("---\n\nA rule above.\n\n---\nbelow") == "---\n\nA rule above.\n\n---\nbelow"


def test_asciidoc():
    source = (
        "[[_top]]\n= Title\n:toc: left\n// comment\ninclude::other.adoc[]\n\n(((index)))Text with ((terms)), see "
        "https://a.example[the site], <<_top>> and <<_top,above>>.\n\n"
        "[source,ruby]\n----\n// kept\ninclude::kept[]\n----\n\n"
        "////\nblock\n////\nimage::x.png[A picture]\nEnd."
    )
    assert text_of_asciidoc(source) == (
        "= Title\n\nText with terms, see the site, _top and above.\n\n----\n// kept\ninclude::kept[]\n----\n\nEnd."
    )


def test_restructuredtext():
    source = (
        ".. _label:\n\nTitle\n=====\n\n.. comment\n   goes on\n\n.. toctree::\n   :maxdepth: 2\n\n   one\n\n"
        "Use :func:`~os.path.join` or :ref:`the chapter <label>`, see `Python <https://python.org>`_.\n\n"
        ".. note::\n\n   Stay awake.\n\n.. code-block:: python\n   :linenos:\n\n   x = 1\n"
    )
    found = text_of_rst(source)
    assert found.replace("\n\n\n", "\n\n") == (
        "Title\n=====\n\nUse ``os.path.join`` or the chapter, see Python.\n\n.. note::\n\n   Stay awake.\n\n"
        ".. code-block:: python\n\n   x = 1"
    )


def test_the_ending_tells_the_markup(tmp_path):
    (tmp_path / "a.md").write_text("---\ntitle: T\n---\nbody")
    (raw,), _ = split(text.read(tmp_path / "a.md", "a.md"))
    assert raw.markup == "markdown" and extract(raw) == "# T\n\nbody"
    (tmp_path / "b.jsonl").write_text(json.dumps({"path": "x/b.adoc", "text": ":a: b\ntext"}))
    (raw,), _ = split(jsonl.read(tmp_path / "b.jsonl", "b"))
    assert extract(raw) == "text"


# --- code


def test_languages_by_ending_and_by_content():
    assert language_of("a.h") == "c" and language_of("a.h", "namespace x {\n") == "c++"
    assert language_of("a.h", "#import <Foundation/Foundation.h>\n@interface A") == "objective-c"
    assert language_of("bin/run", "#!/usr/bin/env python3\n") == "python" and language_of("bin/run", "\x7fELF") == ""
    assert language_of("Dockerfile") == "dockerfile" and language_of("a.csv") == ""


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("src/a.c", "int main(void) { return 0; }\n", ""),
        ("node_modules/x/a.js", "let x = 1", "vendored"),
        ("api_pb2.py", "x = 1", "generated"),
        ("a.go", "// Code generated by protoc. DO NOT EDIT.\npackage a", "generated"),
        ("a.min.js", "x", "minified"),
        ("a.js", "var a=1;" * 500, "minified"),
        ("table.c", "static const int t[] = {\n" + "0x1f, 0x2e, 12, 33,\n" * 300 + "};", "data"),
    ],
)
def test_what_nobody_wrote(name, text, why):
    assert not_written(name, text) == why


def test_licences_of_repositories(tmp_path):
    files = {
        "free/LICENSE": MIT, "free/a.py": "a = 1", "free/sub/b.py": "b = 2", "copyleft/COPYING.txt": GPL,
        "copyleft/c.py": "c = 3", "copyleft/d.py": "# SPDX-License-Identifier: Apache-2.0\nd = 4", "none/e.py": "e = 5",
    }  # fmt: skip
    path = tar(tmp_path / "r.tar.gz", {name: body.encode() for name, body in files.items()})
    raw, bad = split(code.read(path, "r", "permissive"))
    assert [r.text[-1] for r in raw] == ["1", "2", "4"]
    assert [b.reason for b in bad] == ["left out: licence GPL-3.0", "left out: no licence found"]
    assert len(split(code.read(path, "r"))[0]) == 5
    assert [r.text[-1] for r in split(code.read(path, "r", ("GPL-3.0",)))[0]] == ["3"]
    for name, body in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(body)
    folder = corpus(tmp_path, domain="code", format="code", path="*/**/*.py", licences="permissive")
    assert sorted(r.text[-1] for r in everything(folder)[0]) == ["1", "2", "4"]
    both = {"x/LICENSE": MIT, "x/COPYING": GPL, "x/f.py": "f = 6"}
    path = tar(tmp_path / "both.tar.gz", {name: body.encode() for name, body in both.items()})
    assert [b.reason for b in split(code.read(path, "x", "permissive"))[1]] == ["left out: licence GPL-3.0"]
    assert licence.detect("all rights reserved") == licence.UNKNOWN
    assert licence.is_allowed("GPL-2.0-or-later", ("GPL-2.0",))
    with pytest.raises(ValueError, match="licences are looked for"):
        SourceConfig(name="s", domain="web", format="text", path="*", licences="permissive")


def test_notebooks_become_markdown(tmp_path):
    cells = [
        {"cell_type": "markdown", "source": ["# Title\n", "words"]},
        {"cell_type": "code", "source": "x = 1", "outputs": [{"data": "noise"}]},
        {"cell_type": "code", "source": []},
    ]
    notebook = {"cells": cells, "metadata": {"kernelspec": {"language": "Python"}}}
    (tmp_path / "a.ipynb").write_text(json.dumps(notebook))
    (raw,), _ = split(code.read(tmp_path / "a.ipynb", "a.ipynb"))
    assert raw.text == "# Title\nwords\n\n```python\nx = 1\n```" and raw.code_language == "python"
    (tmp_path / "a.ipynb").write_text('{"cells": [1]}')
    assert split(code.read(tmp_path / "a.ipynb", "a.ipynb"))[1][0].reason == "malformed notebook"


# --- remote files


def test_files_behind_fsspec(tmp_path):
    system = fsspec.filesystem("memory")
    for i in range(3):
        system.pipe(f"/crawl/{i}.jsonl.gz", gzip.compress(b'{"text": "page %d"}\n' % i))
    system.pipe("/crawl/p.tar", gzip.decompress(tar(tmp_path / "p.tgz", {"a.txt": b"inside"}).read_bytes()))
    one = corpus(tmp_path / "nowhere", format="jsonl", path="memory://crawl/*.jsonl.gz")
    assert sorted(r.text for r in everything(one)[0]) == ["page 0", "page 1", "page 2"]
    before = inputs(one)
    assert [entry["path"] for entry in before["sources"]["s"]] == [f"memory:///crawl/{i}.jsonl.gz" for i in range(3)]
    assert inputs(one) == before
    system.pipe("/crawl/1.jsonl.gz", gzip.compress(b'{"text": "other 1"}\n'))
    assert inputs(one) != before
    assert everything(corpus(tmp_path, path="memory://crawl/p.tar"))[0][0].text == "inside"
    assert len(everything(corpus(tmp_path, format="jsonl", path="memory://crawl/0.jsonl.gz"))[0]) == 1
    with pytest.raises(InputError, match=r"'s': path 'memory://gone/\*' matches no file"):
        plan(corpus(tmp_path, path="memory://gone/*"))
    with pytest.raises(InputError, match="cannot be listed: Protocol not known"):
        plan(corpus(tmp_path, path="gopher://a.example/*"))


def test_files_behind_https(tmp_path):
    pytest.importorskip("aiohttp")
    served = tmp_path / "served"
    served.mkdir()
    (served / "a.warc.gz").write_bytes(web_record("https://a.example/", b"<p>one</p>"))

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(served)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        address = f"http://127.0.0.1:{server.server_port}"
        one = corpus(tmp_path, format="warc", path=f"{address}/a.warc.gz")
        assert [r.text for r in everything(one)[0]] == ["<p>one</p>"]
        assert inputs(one)["sources"]["s"][0]["size"] == (served / "a.warc.gz").stat().st_size
        with pytest.raises(InputError, match="cannot be listed"):
            plan(corpus(tmp_path, format="warc", path=f"{address}/gone.warc.gz"))
    finally:
        server.shutdown()
        server.server_close()
