"""Markup to text: what must stay and what must go."""

import json
import subprocess
import sys

from corpus_support import SAMPLES
from hypothesis import given
from hypothesis import strategies as st

from altiplano.corpus.extraction.extract import cut, extract
from altiplano.corpus.extraction.html import text_of_html
from altiplano.corpus.extraction.latex import text_of_latex
from altiplano.corpus.readers import warc
from altiplano.corpus.readers.raw import RawDocument


def test_html_of_every_sample_page_keeps_prose_and_loses_navigation():
    essays = "".join(path.read_text(encoding="utf-8") for path in sorted((SAMPLES / "essays").glob("*.md")))
    pages = [
        r for path in sorted(SAMPLES.glob("web/*.gz")) for r in warc.read(path, path.name) if isinstance(r, RawDocument)
    ]
    assert len(pages) > 50
    for page in pages:
        if "magazine.example" not in page.url:
            continue
        text = text_of_html(page.text)
        assert len(text) > 200, page.url
        for unwanted in ("cookie", "Newsletter", "newsletter", "Startseite", "Accueil", "var consent", "© Altiplano"):
            assert unwanted not in text, page.url
        sentences = [line for line in text.split("\n") if len(line) > 100]
        assert sum(line in essays for line in sentences) >= len(sentences) - 1, page.url  # a contact line may be added


def test_html_that_is_empty_or_broken_gives_no_text():
    assert text_of_html("") == ""
    assert isinstance(text_of_html("<html><body><p>unclosed" + "<div>" * 3000), str)
    assert isinstance(text_of_html("\x00\x01<p>&#xD800;</p>"), str)


def test_latex_of_a_sample():
    text = text_of_latex((SAMPLES / "academic" / "pendulum.tex").read_text())
    assert "must not" not in text and "newcommand" not in text and "documentclass" not in text
    assert text.startswith("## The small swing") and "## The large swing" in text
    assert "\\begin{equation}\n\\ddot{\\theta} = -\\frac{g}{L} \\sin\\theta ." in text and "\\label" not in text
    assert "$T = 2\\pi\\sqrt{L/g}$" in text
    assert "\\[ T = 4 \\sqrt{\\frac{L}{g}}" in text
    assert "At ten degrees the correction" in text and "a cycloid, the one curve" in text


def test_latex_details():
    assert text_of_latex(r"na\"ive caf\'e Stra\ss e 50\% of A \& B") == "naïve café Straße 50% of A & B"
    assert text_of_latex(r"\section[short]{A \emph{long} title}") == "## A long title"
    assert text_of_latex(r"see \href{https://a.example/}{this} and~\cite[p.~3]{x}.") == "see this and ."
    assert text_of_latex("a \\% b % comment\nc") == "a % b c"
    assert text_of_latex(r"\begin{itemize}\item one\item two\end{itemize}") == "- one\n- two"
    assert text_of_latex("cost \\$5 and $x_{\\text{a $b$}}$").startswith("cost $5")
    assert text_of_latex("") == ""


@given(st.text(alphabet=st.sampled_from(list("\\{}$%[]ab \n&~^_")), max_size=200))
def test_latex_never_fails_or_adds_a_word(source):
    text = text_of_latex(source)
    assert text == text.strip() and "\n\n\n" not in text
    assert text.count("a") <= source.count("a") and text.count("b") <= source.count("b")


@given(st.text(max_size=400), st.integers(1, 50))
def test_cut_loses_nothing_but_line_ends_and_respects_the_limit(text, longest):
    pieces = list(cut(text, longest))
    assert all(0 <= len(piece) <= longest for piece in pieces)
    assert "".join(pieces).replace("\n", "") == text.replace("\n", "")


def test_extract_normalises():
    assert extract(RawDocument("p", "", "text", "e\u0301 \x00a\r\nb\ufeff\n\n", 9)) == "é a\nb"


def test_samples_are_what_build_makes_of_them(tmp_path):
    import shutil

    copy = tmp_path / "samples"
    shutil.copytree(SAMPLES, copy)
    for path in [*copy.glob("web/*"), copy / "key.json", copy / "reference" / "glossary.jsonl"]:
        path.unlink()
    subprocess.run([sys.executable, str(copy / "build.py")], check=True)
    assert json.loads((copy / "key.json").read_text()) == json.loads((SAMPLES / "key.json").read_text())
    for name in ("web/magazine-0.warc.gz", "web/magazine-1.warc.gz", "reference/glossary.jsonl"):
        assert (copy / name).read_bytes() == (SAMPLES / name).read_bytes()
