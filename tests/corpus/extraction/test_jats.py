"""JATS to text."""

import pytest

from altiplano.corpus.extraction.jats import text_of_jats

NAMESPACES = 'xmlns:mml="http://www.w3.org/1998/Math/MathML" xmlns:xlink="http://www.w3.org/1999/xlink"'


def body(inner: str) -> str:
    return text_of_jats(f"<article {NAMESPACES}><body>{inner}</body></article>")


@pytest.mark.parametrize(
    ("inner", "text"),
    [
        ("<p>Bees fly [<xref ref-type='bibr'>1</xref>,<xref ref-type='bibr'>2</xref>–<xref ref-type='bibr'>4</xref>] "
         "and sting <sup><xref ref-type='bibr'>5</xref></sup>.</p>", "Bees fly and sting."),
        ("<p>So<sup><xref ref-type='bibr'>5</xref>,<xref ref-type='bibr'>6</xref></sup> it is 10<sup>6</sup></p>",
         "So it is 10^6"),
        ("<p>In <xref ref-type='bibr'>Smith et al. (2001)</xref> (<xref ref-type='bibr'>Jones 1999</xref>; "
         "<xref ref-type='bibr'>Fox 2000</xref>) and (Fox <xref ref-type='bibr'>2003a</xref>)</p>",
         "In Smith et al. (2001) (Jones 1999; Fox 2000) and (Fox 2003a)"),
        ("<p>As said <xref ref-type='bibr'>[1]</xref>, <xref ref-type='bibr'>[2]</xref>. See <xref ref-type='fig'>"
         "Figure 1</xref><xref ref-type='fn'>*</xref>.</p>", "As said. See Figure 1."),
        ("<p>Before <table-wrap><caption><p>Cap</p></caption><table><tr><td>1</td><td>2</td></tr><tr><td>3</td>"
         "<td>4</td></tr></table></table-wrap> after.</p>", "Before\n\nCap\n\n| 1 | 2 |\n| 3 | 4 |\n\nafter."),
        ("<p>Two: <list><list-item><p>a</p><p>b</p></list-item><list-item><label>2</label><p>c <list><list-item><p>d"
         "</p></list-item></list></p></list-item></list></p>", "Two:\n\n- a\n  b\n- c\n  - d"),
        ("<def-list><def-item><term>Bee</term><def><p>An insect.</p></def></def-item></def-list>", "- Bee: An insect."),
        ("<p>Run <code>x = 1</code> or <code>a\n  b</code></p><preformat>c\n d</preformat>",
         "Run x = 1 or\n\n```\na\n  b\n```\n\n```\nc\n d\n```"),
        ("<verse-group><verse-line>One</verse-line><verse-line>two</verse-line></verse-group>", "One\ntwo"),
        ("<boxed-text><title>Box</title><p>In it.</p></boxed-text><disp-quote><p>Said.</p></disp-quote>",
         "## Box\n\nIn it.\n\nSaid."),
        ("<p>Hives<fn><p>All of them.</p></fn> were empty.</p>", "Hives were empty.\n\nAll of them."),
        ("<fig><label>Figure 1</label><caption><title>Hives.</title><p>In May.</p></caption><graphic/></fig>",
         "Figure 1. Hives. In May."),
        ("<statement><label>Theorem 1</label><title>Bees</title><p>All fly.</p></statement>"
         "<statement><label>Proof.</label><p>Easy.</p></statement>",
         "## Theorem 1. Bees\n\nAll fly.\n\nProof.\n\nEasy."),
        ("<list><list-item><label>Step 1:</label><p>Wait.</p></list-item><list-item><label>(b)</label><p>Go.</p>"
         "</list-item></list><boxed-text><label>図1</label><p>蜂</p></boxed-text>",
         "- Step 1:\n  Wait.\n- Go.\n\n図1\n\n蜂"),
        ("<sec><label>Chapter 2</label><title>Flight</title><subtitle>Of bees</subtitle><p>They do.</p></sec>",
         "## Chapter 2. Flight: Of bees\n\nThey do."),
        ("<p>α&nbsp;&alpha;&mdash;&lt;&Uuml;&unknown;</p>", "α α—<Ü"),
        ("<p>Let <inline-formula><mml:math><mml:mi>x</mml:mi><mml:mo>=</mml:mo><mml:mfrac><mml:mn>1</mml:mn><mml:mn>2"
         "</mml:mn></mml:mfrac></mml:math></inline-formula>.</p><disp-formula><label>(1)</label><mml:math><mml:mi>z"
         "</mml:mi></mml:math></disp-formula>", r"Let $x=\frac{1}{2}$." + "\n\n$$z$$"),
        ("<p><inline-formula><alternatives><mml:math><mml:mi>y</mml:mi></mml:math><tex-math>\\begin{document}$y^2$"
         "\\end{document}</tex-math></alternatives></inline-formula> <mml:math><mml:mi>w</mml:mi></mml:math></p>",
         "$y^2$ $w$"),
        ("<p><disp-formula><label>(2)</label>a = b</disp-formula></p>", "$$a = b$$"),
    ],
)  # fmt: skip
def test_what_stands_in_a_body(inner, text):
    assert body(inner) == text


def test_entities_of_the_file_itself():
    assert text_of_jats(
        '<!DOCTYPE article [<!ENTITY firm "Bees Ltd">]><article><body><p>&firm;.</p></body></article>'
    ) == ("Bees Ltd.")


def test_subtitles_and_translated_titles():
    titles = (
        "<title-group><article-title>Bees</article-title><subtitle>A study</subtitle><trans-title-group>"
        "<trans-title>Bienen</trans-title><trans-subtitle>Eine Studie</trans-subtitle>"
        "</trans-title-group></title-group>"
    )
    source = f"<article><front><article-meta>{titles}</article-meta></front><body><p>Fly.</p></body></article>"
    assert text_of_jats(source) == "# Bees: A study\n\nBienen: Eine Studie\n\nFly."


def test_all_parts_of_an_article():
    source = f"""<?xml version="1.0"?><!DOCTYPE article PUBLIC "-//NLM//DTD JATS v1.2//EN" "JATS.dtd">
<article {NAMESPACES}><front><journal-meta><title>J</title></journal-meta><article-meta><title-group>
<article-title>Bees</article-title></title-group><abstract><p>Short.</p></abstract>
<trans-abstract xml:lang="de"><title>Kurz</title><p>Knapp.</p></trans-abstract></article-meta></front>
<body><sec><label>1</label><title>Results</title><p>See <xref ref-type="table">Table 1</xref>.</p></sec></body>
<back><ack><p>Thanks.</p></ack><app-group><app><title>More</title><p>Proofs.</p></app></app-group>
<ref-list><ref><mixed-citation>Nobody 1999</mixed-citation></ref></ref-list></back>
<floats-group><table-wrap><label>Table 1</label><caption><p>Counts</p></caption><table><tr><th>a</th></tr></table>
<table-wrap-foot><fn><p>In May.</p></fn></table-wrap-foot></table-wrap>
<fig><caption><p>Hive</p></caption></fig></floats-group>
<sub-article><front-stub><title-group><article-title>Reply</article-title></title-group></front-stub>
<body><p>We agree.</p></body></sub-article></article>"""
    assert text_of_jats(source) == (
        "# Bees\n\n## Abstract\n\nShort.\n\n## Kurz\n\nKnapp.\n\n## Results\n\nSee Table 1.\n\n## More\n\nProofs.\n\n"
        "Table 1. Counts\n\n| a |\n\nIn May.\n\nHive\n\n## Reply\n\nWe agree."
    )


def test_the_declared_charset_is_the_readers():
    source = '<?xml version="1.0" encoding="ISO-8859-1"?><article><body><p>Käse – 蜂</p></body></article>'
    assert text_of_jats(source) == "Käse – 蜂"


def test_several_articles_and_cut_ones():
    one, two = (f"<article><body><p>{word}</p></body></article>" for word in ("one", "two"))
    prologue = '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE article PUBLIC "x" "y">\n'
    assert text_of_jats(f"{prologue}{one}\n{prologue}{two}") == "one\n\ntwo"
    assert text_of_jats(f"<articles>{one}{two}</articles>") == "one\n\ntwo"
    assert text_of_jats(f"<OAI><record>{one}</record></OAI>") == "one"
    assert text_of_jats("<article><body><sec><title>T</title><p>kept <b>to the cu") == "## T\n\nkept to the cu"


@pytest.mark.parametrize("tex", [r"x^2", r"\(x^2\)", r"\[x^2\]", r"$x^2$", r"$$ x^2 $$"])
def test_formulas_are_between_dollars_once(tex):
    formula = f"<inline-formula><tex-math>{tex}</tex-math></inline-formula>"
    assert body(f"<p>So {formula} is.</p>") == "So $x^2$ is."
