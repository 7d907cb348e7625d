"""LaTeX to text."""

from hypothesis import given
from hypothesis import strategies as st

from altiplano.corpus.extraction.latex import text_of_latex
from corpus.support import SAMPLES


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
