"""HTML to text, normalisation, and cutting long documents."""

from hypothesis import given
from hypothesis import strategies as st

from altiplano.corpus.extraction.extract import cut, extract
from altiplano.corpus.extraction.html.main_text import text_of_html
from altiplano.corpus.readers.raw import RawDocument
from altiplano.corpus.readers.web_archives import warc
from corpus.support import SAMPLES


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


@given(st.text(max_size=400), st.integers(1, 50))
def test_cut_loses_nothing_but_line_ends_and_respects_the_limit(text, longest):
    pieces = list(cut(text, longest))
    assert all(0 <= len(piece) <= longest for piece in pieces)
    assert "".join(pieces).replace("\n", "") == text.replace("\n", "")


def test_extract_normalises():
    assert extract(RawDocument("p", "", "text", "e\u0301 \x00a\r\nb\ufeff\n\n", 9)) == "é a\nb"
