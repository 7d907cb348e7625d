"""What both modes keep of a page beside its prose."""

# ruff: noqa: E501 - a page's markup is easier to read unbroken

import pytest

from altiplano.corpus.extraction.html.main_text import MODES

PROSE = "".join(
    f"<p>Paragraph {at} says something about loops that is long enough to be kept by all of them, we hope.</p>"
    for at in range(12)
)
SHOWN = {
    "a listing": ("<pre><code>for i in range(3):\n\n    print(i)</code></pre>", "```\nfor i in range(3):\n\n    print(i)\n```"),
    "a listing in a definition": (
        "<dl><dt>f(x)</dt><dd><p>Does a thing.</p><dl><dt>Examples</dt><dd><pre>&gt;&gt;&gt; f(1)\n\n  2</pre></dd></dl></dd></dl>",
        "```\n>>> f(1)\n\n  2\n```",
    ),
    "numbers in a column": (
        '<table class="highlighttable"><tr><td class="linenos"><div class="linenodiv"><pre>1\n2\n3</pre></div></td>'
        '<td class="code"><div><pre><span>if a:</span>\n\n    b()\n</pre></div></td></tr></table>',
        "```\nif a:\n\n    b()\n```",
    ),
    "numbers in a column without a class": (
        "<table><tr><td><pre>1\n2</pre></td><td><pre>if a:\n    b()</pre></td></tr></table>",
        "```\nif a:\n    b()\n```",
    ),
    "a row for each line": (
        '<table class="js-file-line-container">'
        + "".join(
            f'<tr><td class="blob-num" data-line-number="{at}"></td><td class="blob-code js-file-line">{line}</td></tr>'
            for at, line in enumerate(["def f():", "", "    return 1"], 1)
        )
        + "</table>",
        "```\ndef f():\n\n    return 1\n```",
    ),
    "a line of code that is a number": (
        '<pre><code><table class="hljs-ln"><tr><td class="hljs-ln-line hljs-ln-numbers" data-line-number="1"></td>'
        '<td class="hljs-ln-line hljs-ln-code">a {</td></tr><tr><td class="hljs-ln-line hljs-ln-numbers">2</td>'
        '<td class="hljs-ln-line hljs-ln-code">  7</td></tr></table></code></pre>',
        "```\na {\n  7\n```",
    ),
    "numbers inside the listing": (
        '<div class="highlight"><pre><span class="linenos">1</span>a = 1\n<span class="linenos">2</span>  b = 2</pre></div>',
        "```\na = 1\n  b = 2\n```",
    ),
    "a div for each line": ("<pre><code><div>a {</div><div></div><div>  b</div><div>}</div></code></pre>", "```\na {\n\n  b\n}\n```"),
    "a div for each line, without pre": (
        '<div class="code"><div class="line">a {</div><div class="line">  b</div><div class="line">}</div></div>',
        "```\na {\n  b\n}\n```",
    ),
    "an item for each line": (
        '<pre class="prettyprint"><ol class="linenums"><li>a {</li><li>  b</li><li>}</li></ol></pre>', "```\na {\n  b\n}\n```",
    ),
    "a span for each line": (
        '<pre class="shiki"><code><span class="line">a {</span>\n<span class="line"></span>\n<span class="line">  b</span></code></pre>',
        "```\na {\n\n  b\n```",
    ),
    "a span for each line, without line ends": (
        '<pre><code><span class="line">a {</span><span class="line">  b</span></code></pre>', "```\na {\n  b\n```",
    ),
    "breaks": ("<pre>a {<br>  b<br/>}</pre>", "```\na {\n  b\n}\n```"),
    "breaks, without pre": ("<p><code>a {<br>&nbsp;&nbsp;b<br>}</code></p>", "```\na {\n  b\n}\n```"),
    "a listing in a figure": ("<figure class='highlight'><pre>x = y[0]</pre></figure>", "```\nx = y[0]\n```"),
    "a listing with fences": ("<pre><code>```\na\n```</code></pre>", "````\n```\na\n```\n````"),
    "a poem": (
        "<pre>The river runs below the hill and never asks us why\nand we who sit above it all let days and rivers by</pre>",
        "\nThe river runs below the hill and never asks us why\nand we who sit above it all let days and rivers by\n",
    ),
    "a table": (
        "<table><thead><tr><th>name</th><th>size</th></tr></thead><tbody><tr><td>alpha</td><td>12</td></tr></tbody></table>",
        "| name | size |\n| alpha | 12 |",
    ),
    "a table in a figure": ("<figure><table><tr><td>a</td><td>b</td></tr></table></figure>", "| a | b |"),
    "lists in cells": (
        "<table><tr><td>Monday</td><td><ul><li>10 to 12</li><li>14 to 18</li></ul></td></tr><tr><td>Tuesday</td>"
        "<td><ul><li>closed</li></ul></td></tr></table>",
        "| Monday | 10 to 12; 14 to 18 |\n| Tuesday | closed |",
    ),
    "paragraphs and breaks in cells": (
        "<table><tr><td>a<br>b</td><td><p>c</p><p>d</p></td></tr></table>", "| a b | c d |",
    ),
    "marked words in cells": (
        "<table><tr><th>Zone</th><td><span><a href='x'>UTC+12</a> (<abbr>NZST</abbr>)</span> now<!-- c --> then</td></tr></table>",
        "| Zone | UTC+12 (NZST) now then |",
    ),
    "a head without a row": (
        "<table><thead><th>a</th><th>b</th></thead><tbody><tr><td>1</td><td>2</td></tr></tbody></table>", "| a | b |\n| 1 | 2 |",
    ),
    "formulas in cells": (
        "<table><tr><td><math><msup><mi>x</mi><mn>2</mn></msup></math></td><td>10<sup>3</sup></td></tr></table>",
        "| $x^{2}$ | 10^3 |",
    ),
    "powers": ("<p>It weighs 10<sup>6</sup> kg and 10<sup>−3</sup> g of H<sub>2</sub>O in x<sup>n+1</sup>, CO<sub>2</sub>.</p>",
               "10^6 kg and 10^−3 g of H_2O in x^(n+1), CO_2."),
    "ordinals": ("<p>The 1<sup>st</sup> and 2<sup>nd</sup> of the XIX<sup>e</sup> century, Brand<sup>®</sup> said so.</p>",
                 "The 1st and 2nd of the XIXe century, Brand® said so."),
    "marks of footnotes": (
        '<p>It was so<sup id="r1"><a href="#n1">1</a></sup> and<sup class="reference"><a href="#c2">[2]</a></sup> still '
        "is<sup>[citation needed]</sup>, they say.</p>",
        "It was so and still is, they say.",
    ),
    "MathML": ("<p>We find <math><mfrac><mn>1</mn><mn>2</mn></mfrac></math> here.</p>", r"We find $\frac{1}{2}$ here."),
    "MathML on its own": ('<math display="block"><mi>x</mi><mo>=</mo><mn>1</mn></math>', "\n$$x=1$$\n"),
    "a script": ('<p>We find <script type="math/tex">a^2</script> here.</p>', "We find $a^2$ here."),
    "a script on its own": ('<script type="math/tex; mode=display">a^2 = b</script>', "\n$$a^2 = b$$\n"),
    "MathJax 2": (
        '<p>We find <span class="MathJax_Preview">a2</span><span class="MathJax" data-mathml="&lt;math&gt;&lt;mi&gt;a&lt;/mi&gt;'
        '&lt;/math&gt;"><nobr>a2</nobr></span><script type="math/tex">a^2</script> here.</p>', "We find $a^2$ here.",
    ),
    "MathJax 2 without a script": (
        '<p>We find <span class="MathJax" data-mathml="&lt;math&gt;&lt;mi&gt;a&lt;/mi&gt;&lt;/math&gt;"><nobr>a</nobr></span>'
        " here.</p>", "We find $a$ here.",
    ),
    "MathJax 3": (
        '<p>We find <mjx-container class="MathJax"><mjx-math><mjx-mi>x</mjx-mi></mjx-math><mjx-assistive-mml><math><mi>x</mi>'
        "</math></mjx-assistive-mml></mjx-container> here.</p>", "We find $x$ here.",
    ),
    "KaTeX": (
        '<p>We find <span class="katex"><span class="katex-mathml"><math><semantics><mi>x</mi><annotation '
        'encoding="application/x-tex">x^2+y</annotation></semantics></math></span><span class="katex-html" '
        'aria-hidden="true">x2+y</span></span> here.</p>', "We find $x^2+y$ here.",
    ),
    "KaTeX on its own": (
        '<p><span class="katex-display"><span class="katex"><span class="katex-mathml"><math display="block"><semantics>'
        '<mi>x</mi><annotation encoding="application/x-tex">x^2</annotation></semantics></math></span><span '
        'class="katex-html" aria-hidden="true">x2</span></span></span></p>', "\n$$x^2$$\n",
    ),
    "MediaWiki": (
        '<p>We find <span class="mwe-math-element"><span class="mwe-math-mathml-inline mwe-math-mathml-a11y" style="display: '
        'none;"><math alttext="{\\displaystyle x^{2}}"><semantics><mi>x</mi><annotation encoding="application/x-tex">'
        '{\\displaystyle x^{2}}</annotation></semantics></math></span><img src="x.svg" class="mwe-math-fallback-image-inline"'
        ' alt="{\\displaystyle x^{2}}"></span> here.</p>', "We find $x^{2}$ here.",
    ),
    "MediaWiki, on its own": (
        '<dl><dd><span class="mwe-math-element"><span class="mwe-math-mathml-inline" style="display: none;"><math><mi>x</mi>'
        '</math></span><img class="mwe-math-fallback-image-inline" alt="x"></span></dd></dl>', "\n$$x$$\n",
    ),
    "LaTeXML": (
        '<table class="ltx_equation ltx_eqn_table"><tr><td></td><td><math alttext="x=y^{2}" display="block"><mi>x</mi></math>'
        "</td><td>(1)</td></tr></table>", "\n$$x=y^{2}$$(1)\n",
    ),
    "tags in capitals, left open": ("<TABLE><TR><TD>a<TD>b<TR><TD>c<TD>d</TABLE>", "\n| a | b |\n| c | d |\n"),
    "pictures": (
        '<p>We find <img class="mwe-math-fallback-image-inline" alt="{\\displaystyle x^{2}}"> and <img class="tex" alt="y^2"> '
        'and <img src="https://latex.codecogs.com/gif.latex?z" alt="z^2"> here.</p>', "We find $x^{2}$ and $y^2$ and $z^2$ here.",
    ),
    "signs at headings": ('<h2>Of loops<a class="headerlink" href="#of-loops">¶</a></h2><p>Short but here.</p>', "Of loops\n"),
    "definitions": (
        "<dl><dt>Term one</dt><dd>Definition one is this.</dd><dt>Term two<dd>And this.</dl>",
        "Term one\nDefinition one is this.\nTerm two\nAnd this.",
    ),
    "a numbered caption": (
        '<figure class="wp-block"><a href="b.png"><img src="a.png" alt="no text"></a><figcaption><b>Fig.&nbsp;2:</b> Growth by '
        "10<sup>6</sup> a day.</figcaption></figure>", "\nFig. 2: Growth by 10^6 a day.\n",
    ),
    "a numbered caption without a figure": (
        '<div class="captions"><div class="wp-caption"><img src="a.png"><p><em class="wp-caption-text">Рис. 3. Рост за день.</em></p></div></div>', "\nРис. 3. Рост за день.\n",
    ),
    "numbered captions of figures in a figure": (
        '<figure class="gallery"><figure><img src="a.png"><figcaption>Abb. 1: Erstens.</figcaption></figure><figure>'
        '<img src="b.png"><figcaption>Abb. 2: Zweitens.</figcaption></figure></figure>', "\nAbb. 1: Erstens.\nAbb. 2: Zweitens.\n",
    ),
    "the caption of a table": (
        "<figure><table><tr><td>a</td><td>b</td></tr></table><figcaption>What a costs.</figcaption></figure>",
        "\nWhat a costs.\n| a | b |\n",
    ),
    "the caption of a listing": (
        "<figure><figcaption>All of <code>f</code>:</figcaption><pre><code>def f():\n    pass</code></pre></figure>",
        "\nAll of f:\n```\ndef f():\n    pass\n```",
    ),
    "lists": ("<ul><li>one<ul><li>two</li></ul></li><li>three</li></ul>", "- one\n  - two\n- three\n"),
}  # fmt: skip


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("what", SHOWN)
@pytest.mark.parametrize("frame", ["<article>{}</article>", "<main><div>{}</div></main>"])
def test_kept(mode, what, frame):
    given, text = SHOWN[what]
    at = len(PROSE) // 2
    at = PROSE.index("<p>", at)
    page = f"<html><head><title>T</title></head><body>{frame.format(PROSE[:at] + given + PROSE[at:])}</body></html>"
    found = MODES[mode](page)
    found = found.replace("\n\n", "\n") if what == "definitions" or "caption" in what else found
    assert text in found, found[found.index("Paragraph 5") : found.index("Paragraph 7") + 10]
    assert found.count(text.strip()) == 1
    assert "Paragraph 0" in found and "Paragraph 11" in found
    assert not any(0xA500 <= ord(letter) <= 0xA6FF for letter in found)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("figure", [
    "<figure><img src='a.png'><figcaption>A dog runs. Photo: Someone</figcaption></figure>",
    "<div class='wp-caption'><img src='a.png'><p class='wp-caption-text'>A dog runs.</p></div>",
])  # fmt: skip
def test_captions_of_photographs_are_left_out(mode, figure):
    found = MODES[mode](f"<html><body><article>{PROSE}{figure}{PROSE}</article></body></html>")
    assert "dog" not in found and "Paragraph 11" in found


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("text", [
    "درخت‌های سیب کهن‌سالی", "क्‍ष और र्‍य", "ന്‍റെ അവന്‍", "ශ්‍රී ලංකා", "👩‍🚀 and 🏴󠁧󠁢󠁥󠁮󠁧󠁿 and 👨‍👩‍👧", "שלום\u200f (a) \u2067אב\u2069", "ភាសា\u200bខ្មែរ", "١٢\u06dd",
])  # fmt: skip
def test_signs_without_width(mode, text):
    for frame in (
        "<article>{}</article>",
        "<div>{}</div>",
        "<article>{}<table><tr><td>a</td><td>b</td></tr></table></article>",
    ):
        assert text in MODES[mode](
            f"<html><body>{frame.format(PROSE + f'<p>Here we read {text} in a line.</p>')}</body></html>"
        )


@pytest.mark.parametrize("mode", MODES)
def test_named_signs_spaces_and_soft_hyphens(mode):
    line = "<p>Here we&nbsp;read a&zwnj;b&#8205;c&#x200C;d in soft&shy;hy\xadphens, 1&thinsp;000 and 1\u202f000 and\u3000so.</p>"
    found = MODES[mode](f"<html><body><article>{PROSE}{line}</article></body></html>")
    found = " ".join(found.split())
    assert "Here we read a\u200cb\u200dc\u200cd in softhyphens, 1 000 and 1 000 and so." in found


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("end", ["</p>", ""])
def test_a_list_right_below_the_body(mode, end):
    items = "<ul><li>First <b>reason <i>is</i> the</b> river.</li><li>Second<ul><li>of <em>two</em> it is</li></ul></li></ul>"
    page = f"<html><body>{PROSE.replace('</p>', end)}{items}{PROSE}</body></html>"
    assert "- First reason is the river.\n- Second\n  - of two it is\n" in MODES[mode](page)


@pytest.mark.parametrize("mode", MODES)
def test_a_page_that_writes_our_words_itself(mode):
    marks = "".join(f"<p>\ua6a0{at}\ua6a0 &#xa6a0;{at}&#xa6a0; &#xa6a1;0&#xa6a1;</p>" for at in range(50))
    found = MODES[mode](f"<html><body><article>{PROSE}{marks}<pre>x = {'y' * 1000}</pre></article></body></html>")
    assert found.count("y" * 1000) <= 1


@pytest.mark.parametrize("mode", MODES)
def test_layout_tables_are_no_data(mode):
    page = f"<html><body><table><tr><td>{PROSE}</td><td>{PROSE}</td></tr></table></body></html>"
    assert "Paragraph 3 says" in MODES[mode](page)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("what", ["a listing", "a table", "MathML on its own", "definitions", "a script on its own"])
@pytest.mark.parametrize("frame", ["<article>{}</article>", "<div>{}</div>"])
def test_prose_in_divs_stays(mode, what, frame):
    """Extractors that find a paragraph look at paragraphs alone."""
    given, _ = SHOWN[what]
    prose = PROSE.replace("<p>", "<div>").replace("</p>", "</div>")
    at = prose.index("<div>", len(prose) // 2)
    found = MODES[mode](f"<html><body>{frame.format(prose[:at] + given + prose[at:])}</body></html>")
    assert "Paragraph 0" in found and "Paragraph 11" in found
