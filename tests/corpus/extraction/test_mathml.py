"""MathML to LaTeX, from HTML's and from XML's parser."""

import pytest
from lxml import etree, html

from altiplano.corpus.extraction.html.mathml import latex_of_mathml, tidy_tex

CASES = {
    "<mi>V</mi><mo>=</mo><mfrac><mn>4</mn><mn>3</mn></mfrac><mi>π</mi><msup><mi>r</mi><mn>3</mn></msup>": (
        r"V=\frac{4}{3}\pi r^{3}"
    ),
    "<munderover><mo>∑</mo><mrow><mi>i</mi><mo>=</mo><mn>0</mn></mrow><mi>∞</mi></munderover><msub><mi>a</mi>"
    "<mi>i</mi></msub>": r"\sum_{i=0}^{\infty}a_{i}",
    "<mi>sin</mi><mo>&#x2061;</mo><mi>x</mi><mo>≤</mo><mi>α</mi><mi>x</mi>": r"\sin x\le\alpha x",
    "<munder><mi>lim</mi><mrow><mi>x</mi><mo>→</mo><mn>0</mn></mrow></munder><mi>f</mi>": r"\lim_{x\to0}f",
    "<mover><mi>x</mi><mo>¯</mo></mover><mover accent='true'><mi>v</mi><mo>→</mo></mover>": r"\bar{x}\vec{v}",
    "<mi>ℝ</mi><mi>𝐀</mi><mi>𝛼</mi><mi mathvariant='normal'>d</mi><mi mathvariant='bold'>β</mi>": (
        r"\mathbb{R}\mathbf{A}\alpha\mathrm{d}\boldsymbol{\beta}"
    ),
    "<msup><mi>f</mi><mo>′</mo></msup><msup><mrow><mi>x</mi><mo>+</mo><mn>1</mn></mrow><mn>2</mn></msup>": (
        r"f'{x+1}^{2}"
    ),
    "<msup><mrow><mo>(</mo><mi>x</mi><mo>)</mo></mrow><mn>2</mn></msup><msup><mn>10</mn><mn>6</mn></msup>": (
        r"(x)^{2}10^{6}"
    ),
    "<msup><msub><mi>a</mi><mi>b</mi></msub><mi>c</mi></msup>": r"{a_{b}}^{c}",
    "<mmultiscripts><mi>C</mi><none/><mo>+</mo><mprescripts/><mn>6</mn><mn>14</mn></mmultiscripts>": (
        r"{}_{6}^{14}C^{+}"
    ),
    "<msqrt><mi>x</mi><mo>+</mo><mn>1</mn></msqrt><mroot><mi>y</mi><mn>3</mn></mroot>": r"\sqrt{x+1}\sqrt[3]{y}",
    "<mtable><mtr><mtd><mn>1</mn></mtd><mtd><mn>2</mn></mtd></mtr><mtr><mtd><mn>3</mn></mtd><mtd/></mtr></mtable>": (
        r"\begin{matrix} 1 & 2 \\ 3 &  \end{matrix}"
    ),
    "<mfenced open='[' close=')'><mi>a</mi><mi>b</mi></mfenced>": "[a,b)",
    "<mtext>if 50% </mtext><mi>rate</mi>": r"\text{if 50\% }\mathrm{rate}",
    "<mfrac linethickness='0'><mi>n</mi><mi>k</mi></mfrac>": r"{n \atop k}",
    "<unknown><mi>x</mi></unknown><mphantom><mi>y</mi></mphantom>": "x",
    "<mi>x</mi><annotation encoding='application/x-tex'>{\\displaystyle x^{2}}</annotation>": "x^{2}",
    "<semantics><mi>x</mi><annotation encoding='MathType-MTEF'>MathType@MTEF@5</annotation></semantics>": "x",
}


@pytest.mark.parametrize(("mathml", "latex"), CASES.items())
def test_elements(mathml, latex):
    from_html = html.fromstring(f"<p><math>{mathml}</math></p>").find(".//math")
    space = 'xmlns="http://www.w3.org/1998/Math/MathML"'
    from_xml = etree.fromstring(f"<p><math {space}>{mathml}</math></p>")[0]
    assert latex_of_mathml(from_html) == latex_of_mathml(from_xml) == latex


def test_prefixes_and_alternative_text():
    prefixed = "<mml:math><mml:mfrac><mml:mn>1</mml:mn><mml:mn>2</mml:mn></mml:mfrac></mml:math>"
    assert latex_of_mathml(html.fromstring(f"<p>{prefixed}</p>")[0]) == r"\frac{1}{2}"
    assert (
        latex_of_mathml(html.fromstring('<p><math alttext="\\frac{1}{2}"><mn>½</mn></math></p>')[0]) == r"\frac{1}{2}"
    )


def test_entities_that_the_reader_left():
    parser = etree.XMLParser(resolve_entities=False, recover=True)
    assert latex_of_mathml(etree.fromstring(b"<math><mi>&alpha;</mi><mo>&le;</mo></math>", parser)) == r"\alpha\le"


def test_authors_tex_is_tidied():
    assert tidy_tex("$$ a % why\n + b $$") == "a + b"
    assert tidy_tex(r"\displaystyle{a}+{b}") == "{a}+{b}"
    assert tidy_tex(r"{\displaystyle a}+{b}") == r"{\displaystyle a}+{b}"


def test_deep_elements_keep_their_text():
    deep = html.fromstring("<p><math>" + "<mrow><mi>x</mi>" * 5000 + "</math></p>")
    assert latex_of_mathml(deep[0]).startswith("x" * 100)
