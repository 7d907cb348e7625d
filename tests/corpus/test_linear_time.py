"""No input, however hostile, takes time by the square of its length: each is tried at two lengths in one run.

The units were found by trying every pair
of some five hundred pieces of markup (runs of one, one before or after a run of the other).
"""

from collections.abc import Callable

import pytest
from growth import grows_faster_than_its_input

from altiplano.corpus.annotations import code_quality, text_statistics
from altiplano.corpus.annotations.language import language_of
from altiplano.corpus.annotations.respelling import candidates, respelt
from altiplano.corpus.annotations.telling_words import is_filler, serbian_or
from altiplano.corpus.extraction.html.main_text import MODES
from altiplano.corpus.extraction.html.mathml import tidy_tex
from altiplano.corpus.extraction.jats import text_of_jats
from altiplano.corpus.extraction.latex import lexing as latex_lexing
from altiplano.corpus.extraction.latex.text_of_latex import text_of_latex
from altiplano.corpus.extraction.markup import text_of_asciidoc, text_of_markdown, text_of_rst
from altiplano.corpus.extraction.mediawiki.wikitext import text_of_wikitext
from altiplano.corpus.pii import detect
from altiplano.corpus.readers import opt_outs
from altiplano.corpus.readers.charsets.decoding import decode, html_charset, inputenc, is_binary, xml_encoding
from altiplano.corpus.readers.formats import arxiv, code, jats_articles, jsonl, mediawiki_dump


def article(text: str) -> str:
    formula = f"<inline-formula><tex-math>{text}</tex-math></inline-formula>"
    return f"<article><body><p>{text}</p><p>{formula}</p></body></article>"


def redact(text: str) -> object:
    return detect.redact(text, "en")


def measure(text: str) -> object:
    return text_statistics.statistics(text, "en"), language_of(text), code_quality.code_quality(text, "c", True)


def look_for_code(text: str) -> object:
    return code.language_of("a.h", text), code.not_written("a.c", text)


def join_latex(text: str) -> object:
    return list(arxiv._documents({"a.tex": text.encode(), "b.tex": b"x"}))


def not_commented(text: str) -> object:
    return latex_lexing.without_comments(text)


def is_redirect(text: str) -> object:
    return mediawiki_dump.REDIRECT.match("#redirect [[a]]" + text), mediawiki_dump.REDIRECT.match(text)


def tell_words(text: str) -> object:
    """What is asked of texts that are taken for Croatian or Latin, or that fit no language."""
    return serbian_or("hr", text), is_filler(text), candidates(text, "Latn"), respelt(text, "ug", "Latn")


UNITS: dict[Callable[[str], object], tuple[str, ...]] = {
    text_of_latex: (
        "\\(", "\\[", "$$", "$", "\\begin{figure}", "\\begin{align}", "\\begin{thebibliography}", "\\cite[", "\\cite{",
        "\\label{a", "\\def\\a{", "\\def\\a", "\\newcommand{\\a}{", "\\newcommand{\\a}[1]{#1}\\a", "\\section[",
        "\\section{", "\\emph[", "\\emph{", "\\href{", "\\begin{a}[", "\\begin{document}", "\\\\", "%", "{",
        "\\ref{a}[", "\\NewDocumentCommand\\a{", "\\NewDocumentCommand{\\a}{O{x} m}{",
        "{beamer}\\begin{document}\\a<1",
        "\\DeclareMathOperator{\\x}{", '\\"{', "$a\\begin{align}", "\\includegraphics[",
        "${$", "$\\text{$a$", "\\verb|", "\\url{a", "\\begin{verbatim}", "\\begin{tabular}{l}",
        "\\footnote{", "\\caption{a",
        "\\begin{figure}\\caption{", "\\begin{tabular}{l}a&b\\end{tabular}", "\\'{", "\\iffalse", "\\iffalse\\fi",
        "\\item[a", "\\let\\a\\b", "\\newenvironment{a}{", "\\end{figure}", "\\vskip 1", "\\ensuremath{", "\\csname a",
        "\\newcommand{\\a}{\\b\\b}\\newcommand{\\b}{\\a}\\a", "\\newcommand{\\a}[1]{#1#1}\\a{\\a", "\\lstinline[",
        "\\mintinline{c}|", "a\\footnote{b}\n\n", "\\begin{figure}\\end{figure}", "\\section{\\section{",
        "\\begin{a}[b",
        "\\begin{theorem}[a]", "\\citep[a][b]{", "\\usepackage{german}\\begin{document}\"", "\\usepackage[german",
        "\\SI{5}{\\kilo", "\\begin{multicols}{2}[", "\\def\\a#1{#1}\\a", "\\subfloat[a", "{\\footnote{",
        "a\\\\[", "$a{b$\n",
    ),
    text_of_markdown: ("<!--", "{/*", "```x\n~~~y\n", "![", "![](", "[](x", "import x ", "export ", "![a](b '",
                       "`<!--", "import {", "export const {\n", "> ", "<!--`"),
    text_of_asciidoc: ("https://", "image:", "[[", "((", "<<a,", "<<", "indexterm:[", "link:a", "\n////\n", ":a", "//"),
    text_of_rst: (":a:`", ":a", "`a <", "`", ".. ", ".. _a: ", "..\n  ", ".. image::", ".. |a|", "\n   ", "__ a",
                  "::\n", "x::\n  a\n", ".. code::\n", ".. figure::\n  :a: b\n", ":math:`"),
    text_of_wikitext: (
        "<ref>", "<math>", "{{", "\n{|", "[[a|b", "[http://a ", "= a ", "\n== a =", "\n|a=", "== ", "<a", "__A", "''",
        "\n## References\n", "&#xe000;0&#xe001;<math>x</math>", "\n{|\n|a=b",
        "-{", "-{a:", "{{{", "{{{a|", "{{convert|", "{{lang|fr|", "{{#if:", "{{hlist|a", "{{a|b=", "<sup>",
        " (", " (;", "(;,", "{{quote|",
        "{{plainlist|\n*", "*:#;", "-{a|b}-", "{{lang|fr|a}}", "{{#switch:a|b=",
    ),
    redact: (
        "password=", "password: ", "api_key=a1", "-----BEGIN PRIVATE KEY-----", "eyJaaaaaaaaaaaa.", "-eyJaaaaaaaaaaa",
        "jo.smith@mail.com ", "8.8.8.8, ", "a.a/@", "Calle de la ", "12 High Street, ", "1 1 ", "11", "a@a.", "::1:",
        "https://a:bcdefgh1@x.com/", "+1 (1) ", "GB11 ABCD ", "A1B2 ", "x@", "/home/a",
        "password=a1", "password=a1b2c3d4 ", "db_password: ", "Bearer ", " -u a:", "--password ", "mysql -",
        "<password>a1", "://a:", "://a:b@", "sk-", "sk-proj-a1", "AKIA", "eyJ", "hf_a", "?token=", "_authToken=",
        "a1-", "ya29.a1", "SG.a1.", "xoxb-1-",
        "A1-", "(at) ", "a [at] ", " dot ", "a AT ", "a at a dot ", "a@a[.]", "@＠", "a.a@", '"a@', "中@", "a@中.",
        "tel ", "tel: 1", "tel. 030 1 ", "☎ 12 ", "wa.me/1", "+49 (0) ", "(030) ", "1-1/", "tel 1 - 1 / ", "phone=1",
        "passport ", "passport A1", "NIN 1 ", "RFC A1B", "PAN A1 ", "A1 2 ", "cédula 1-", "id (A) 1", "ABCP", "A1111",
        "1111 ", "4111 1111 ", "card 6", "GB11-", "aa:bb:", "aa-bb-", "abcd.", "ab:", "/home/", "\\Users\\a",
        "C:\\Users", "12 a street ", "rue ", "〒", "ул. ", "A1 1A",
    ),
    measure: ("```x\n", "\\begin{a}", "\\[", "$$a", "`", "cookie ", "a a ", "do not ", "generated by ", "]("),
    tell_words: ("svet", "pre ", "prije", "č", "lorem ", "gh", "é", "ng ", "svetč"),
    look_for_code: ("class ", " \n", "template ", "#! ", "0x", "auto"),
    tidy_tex: ("%", "$", "{\\displaystyle ", "\\(", "{", "}", "\\", "% a\n"),
    join_latex: ("\\input{", "\\input", "\\\\", "%", "\\input{b}"),
    not_commented: ("%", "\\%", "\\url{a%", "\\verb|%", "\\begin{verbatim}%", "\\lstinline{%",
    "\\mintinline[%", "% \n", "%\n "),
    is_redirect: ("#a [[", "#a[[b]] {{", "#a ", "{{a}}", "[[a]]"),
}  # fmt: skip
PAGES = (
    "<div>",
    "<div>a",
    "<article>",
    "<b>",
    "<form>",
    "<ul><li>",
    "<table><tr><td>",
    "<!--",
    "</p>",
    '<a class="',
    "<p>",
    "<sup>a",
    "<figure><figcaption>Fig. 1: a",
    "<div class=caption><b>",
    "<figure><figure>Fig. 1<table>",
    "10<sup>6</sup>",
    "<pre>a</pre>",
    "<pre>a\n",
    "<code>a<br>",
    "<div class=line>a</div>",
    "<p>a<ul><li>b<li>c</ul>",
    "<table><tr><td>a<td>b</table>",
    "<dl><dt>a<dd>b",
    "<math><mi>x</mi></math>",
    "<math><msup>",
    "<math><annotation encoding='tex'>%",
    '<img alt="x" class="tex">',
    '<span class="katex"><math>',
    "<script type='math/tex'>a</script>",
    "&zwnj;a\u200c",
)
RUNS = (" ", "\t", "\n", "a", "\\", "{", "[", "=", ":", "-", "1", "(", "<", "`", "|", ".", "é")


def runs(text: str) -> object:
    """All that a web page's text goes through."""
    return measure(text), redact(text)


CASES = [(function, unit) for function, units in UNITS.items() for unit in units]


@pytest.mark.parametrize(("function", "unit"), CASES, ids=lambda value: getattr(value, "__name__", None) or repr(value))
def test_what_is_repeated(function, unit):
    assert not grows_faster_than_its_input(function, lambda size: unit * (size // len(unit)))


@pytest.mark.parametrize("function", list(UNITS), ids=lambda f: f.__name__)
def test_long_runs_before_and_after_something(function):
    """Padded lines among them: many spaces, then a letter."""
    slow = {}
    for run in RUNS:
        for name, make in {
            f"{run!r} then x": lambda size, run=run: run * size + "x",
            f"x then {run!r}": lambda size, run=run: "x" + run * size + "\nx",
            f"x, {run!r}, x in lines": lambda size, run=run: ("x" + run * 200 + "x\n") * (size // 203),
            f"command then {run!r}": lambda size, run=run: "\\newcommand" + run * size + "\\cite" + run * size,
        }.items():
            if found := grows_faster_than_its_input(function, make):
                slow[name] = found
    assert not slow


@pytest.mark.parametrize(
    "unit", ["[", "(", " [", "\\begin{document}", ", ", " (", "&alpha;", "&a", "1,", "1a", "; ", " ."]
)
def test_articles(unit):
    assert not grows_faster_than_its_input(lambda text: text_of_jats(article(text)), lambda n: unit * (n // len(unit)))


ELEMENTS = [
    "<p>", "<list><list-item>", "<xref ref-type='bibr'>1</xref>", "<sup><xref ref-type='bibr'>1</xref></sup>",
    "<fn>a</fn>",
    "<table-wrap><caption/><table>", "<tr><td>1</td></tr>", "<math><mi>x</mi></math>", "<math>",
    "<fig><caption>a</caption></fig>",
    "<article><body>a", "</article><article>", "<!DOCTYPE article [", "<?xml", "&lt;", "<sub-article>",
    "<sup>", "<code>a</code>",
    "<table-wrap><table-wrap>", "<verse-group><verse-line>a",
]  # fmt: skip


@pytest.mark.parametrize(
    "unit", ["<p>a</p>", "<sec/>", "<sec><p>a</p></sec>", "<title/>", "<list><list-item/></list>", *ELEMENTS]
)
def test_articles_of_many_elements(unit):
    def make(size: int) -> str:
        return f"<article><body>{unit * (size // len(unit))}</body></article>"

    assert not grows_faster_than_its_input(text_of_jats, make)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("unit", PAGES)
def test_pages(mode, unit):
    """Ten times as long as the others: below some thousand levels, time grows with the depth, and then no more."""
    assert not grows_faster_than_its_input(
        MODES[mode], lambda size: f"<html><body>{unit * (10 * size // len(unit))}</body></html>"
    )


FILES = {
    jsonl.read: ('[{"text": "a"},', '{"a":[{},', '{"a":"b\n', '{"a":', "[[{", "{,", '{"text":"a"},'),
    mediawiki_dump.read: (
        "<mediawiki><page><title>A</title><revision><text>", "<a>", "<page>", "<text>", "</text>", "</page>", "&x;",
        "{{a", "<revision>",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("reader", "begin", "unit"), [(r, begin, u) for r, (begin, *us) in FILES.items() for u in us])
def test_broken_files(tmp_path, reader, begin, unit):
    def read(text: str) -> object:
        (tmp_path / "a").write_text(text)
        return list(reader(tmp_path / "a", "a"))

    assert not grows_faster_than_its_input(read, lambda size: begin + unit * (10 * size // len(unit)))


def test_opt_outs():
    for unit in (b"<meta ", b"name=", b'content="', b"noai"):
        assert not grows_faster_than_its_input(
            lambda text: opt_outs.opt_out([], text.encode()), lambda size, unit=unit: "noai" + unit.decode() * size
        )


def read_bytes(text: str) -> object:
    data = text.encode("utf-8") + b"\xe9"
    return (
        decode(data),
        decode(data, "latin1"),
        html_charset("", data),
        inputenc(data),
        xml_encoding(data),
        is_binary(data),
    )


@pytest.mark.parametrize(
    "unit",
    [
        "<meta charset=",
        "<!--",
        "<script>",
        "\\usepackage[",
        "\\inputencoding{",
        "é\x80",
        "\x1b$B",
        "\x1b(J",
        "<?xml ",
        "\0a",
    ],
)
def test_character_sets(unit):
    assert not grows_faster_than_its_input(read_bytes, lambda size: unit * (10 * size // len(unit)))


@pytest.mark.parametrize("unit", ["<article>", "<article ", "</article", "<a", "<a >", "<a> ", "<?xml "])
def test_files_of_several_articles(tmp_path, unit):
    path = tmp_path / "a.xml"

    def read(text: str) -> object:
        path.write_text(text + "<article>")
        return sum(1 for _ in jats_articles.read(path, "a.xml"))

    assert not grows_faster_than_its_input(read, lambda size: unit * (10 * size // len(unit)))


def test_robots_txt():
    def closed(text: str) -> object:
        return opt_outs.closed_by(
            f"https://a.example/{text}", {"a.example": {"robots.txt": opt_outs.robots_txt(rules)}}
        )

    rules = "User-agent: *\n" + "".join(f"Disallow: /{'*a' * 200}b{i}$\n" for i in range(100))
    assert not grows_faster_than_its_input(closed, lambda size: "a" * (size // 10))


def test_personal_data_in_long_lists_of_it():
    """A value is often found only when the one before it is gone: ten thousand telephone numbers in one line."""
    for unit in ("+49 30 1234567 ", "jo.smith@mail.com,", "123-45-6789,", "/home/alena/x "):
        assert not grows_faster_than_its_input(redact, lambda size, unit=unit: unit * (size // len(unit)))
