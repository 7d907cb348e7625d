"""HTML in both modes."""

import pytest

from altiplano.corpus.extraction.extract import extract
from altiplano.corpus.extraction.html.main_text import MAX_TAGS, MODES, main_part
from altiplano.corpus.readers.raw import RawDocument
from altiplano.corpus.readers.web_archives import warc
from corpus.support import SAMPLES

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


PARAGRAPH = "The river rose over the bridge in the night, and nobody could go to school in the morning after that. " * 5


@pytest.mark.parametrize("mode", ["quality", "hybrid"])
@pytest.mark.parametrize(
    "page",
    [
        '<?xml version="1.0" encoding="ISO-8859-1"?>\n'
        "<html><body><article><p>{}</p><pre>a = 1\n\nb = 2</pre></article></body></html>",
        "<html><body><article><p>{}</p><pre>a = 1\x01\n\nb = 2\x00</pre></article></body></html>",
    ],
    ids=["XML declaration", "control characters"],
)
def test_what_the_parser_refuses_is_read_all_the_same(mode: str, page: str) -> None:
    raw = RawDocument("a", "", "html", page.format(PARAGRAPH), 1)
    found = extract(raw, mode)
    assert PARAGRAPH.strip() in found and "b = 2" in found
