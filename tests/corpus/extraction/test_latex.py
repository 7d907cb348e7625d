"""LaTeX to text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from altiplano.corpus.extraction.latex.lexing import without_comments
from altiplano.corpus.extraction.latex.macros import expand_macros
from altiplano.corpus.extraction.latex.text_of_latex import text_of_latex
from corpus.support import SAMPLES


def test_latex_of_a_sample():
    text = text_of_latex((SAMPLES / "academic" / "pendulum.tex").read_text())
    assert "must not" not in text and "newcommand" not in text and "documentclass" not in text
    assert text.startswith("## The small swing") and "## The large swing" in text
    assert "\\begin{equation}\n\\ddot{\\theta} = -\\frac{g}{L} \\sin\\theta ." in text and "\\label" not in text
    assert "$T = 2\\pi\\sqrt{L/g}$" in text
    assert "\\[ T = 4 \\sqrt{\\frac{L}{g}}" in text
    assert "At ten degrees the correction" in text and "a cycloid, the one curve" in text
    assert text.endswith("\n\nThe weight at rest and at its widest swing.")


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (r"na\"ive caf\'e Stra\ss e 50\% of A \& B", "naïve café Straße 50% of A & B"),
        (r"\section[short]{A \emph{long} title}", "## A long title"),
        (r"\section{Over}" "\n" r"\subsection*{Two\\ lines}", "## Over\n\n### Two lines"),
        (r"see \href{https://a.example/}{this} and~\cite[p.~3]{x}.", "see this and ."),
        ("a \\% b % comment\nc", "a % b c"),
        ("one % comment\n\ntwo", "one\n\ntwo"),
        ("one\n  % a whole line\n  two", "one\ntwo"),
        ("line \\\\% comment\nnext", "line\nnext"),
        (r"\begin{itemize}\item one\item two\end{itemize}", "- one\n- two"),
        (r"\begin{description}\item[\textbf{Bee}] flies\item[Ant] walks\end{description}", "- Bee flies\n- Ant walks"),
        ("", ""),
        (r"``A'' --- b -- c\,d\ e~f\-g", "“A” — b – c d efg".replace("efg", "e fg")),
        (r"First line\\[1em] second line\\*", "First line\nsecond line"),
        (r"Fig.\ 3 and \LaTeX\ too", "Fig. 3 and LaTeX too"),
        (r"\bibliographystyle{plain}\bibliography{refs} \appendix \section{More} stays", "## More\n\nstays"),
        (r"\includegraphics[width=0.5\textwidth]{fig/a.pdf}Text", "Text"),
        (r"\textcolor{red}{Red} and \multicolumn{2}{c}{wide}, \parbox[t]{3cm}{boxed}", "Red and wide, boxed"),
        (r"\vspace*{-1em}\vskip 10pt plus 2pt minus 1ptText\hspace{1cm}goes \kern-0.5em on", "Textgoes on"),
        (r"\iffalse hidden \ifx a b \fi too \fi shown", "shown"),
        (r"\begin{minipage}[t]{0.5\textwidth}Inside\end{minipage}", "Inside"),
        (r"\begin{theorem}[Of \emph{bees}] They fly.\end{theorem}", "(Of bees) They fly."),
        (r"\begin{multicols}{2}[\section{Over}] Text\end{multicols}", "## Over\n\nText"),
        (r"{\bf Bold} {\it x}y", "Bold xy"),
        (r"a\label{x} b~\ref{x}, \autocite[see][]{y}c", "a b , c"),
        ("text\n\\bye\nno more", "text"),
        (r"\title{Bees}\author{A. Author}\begin{abstract}Short.\end{abstract}", "Bees\n\nA. Author\n\nShort."),
        (r"\SI{5}{\kilo\metre\per\second\squared}, \qty{3}{m^2}, \si{\square\metre}, \num{1000}, "
         r"\SIrange{1}{5}{\metre}",
         "5 km/s^2, 3 m^2, m^2, 1000, 1–5 m"),
        (r"10\textsuperscript{6}, 1\textsuperscript{st}", "10^6, 1st"),
        (r"\begin{figure}\subfloat[One]{\includegraphics{x}}\subfloat{y}\caption{All}\end{figure}", "One\n\nAll"),
        (r"\begin{tabular}{ll}a & \begin{tabular}{c}x\\y\end{tabular}\\ c & d\end{tabular}",
         "| a | x y |\n| c | d |"),
    ],
)  # fmt: skip
def test_commands(source, text):
    assert text_of_latex(source) == text


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (r"Erd\H{o}s, G\"odel, \v{C}ech, \L{}ukasiewicz, \AA ngstr\"om", "Erdős, Gödel, Čech, Łukasiewicz, Ångström"),
        (r"na\"{\i}ve, fa\c{c}ade, \oe uvre, \aa, \o, \'{\i}, \k{a}, \.{z}", "naïve, façade, œuvre, å, ø, í, ą, ż"),
        (r"\'\i, \^ \j, \u g, \c s, {\"o}, \d{s}, \b{d}, \r a", "í, ĵ, ğ, ş, ö, ṣ, ḏ, å"),
        (r"Vi\d{\^e}t, \'{\^e}", "Việt, ế"),
        (r"\textquotedblleft q\textquotedblright, \textendash, \S 3, \dag, \copyright, \pounds", "“q”, –, §3, †, ©, £"),
        (r"5\textdegree, \textmu m, \ldots{} and \textbackslash; \~{}x \^{}", "5°, µm, … and \\; ~x ^"),
        (r"\og Bonjour\fg{} et \glqq Tag\grqq", "« Bonjour » et „Tag“"),
    ],
)
def test_letters_and_signs(source, text):
    assert text_of_latex(source) == text


def test_german_shorthands():
    body = '\\begin{document}"Uber Stra"sen, "`sch"on"\', Auf"|lage, \\"o \\verb|"a|\\end{document}'
    assert text_of_latex(f"\\usepackage[ngerman]{{babel}}{body}") == 'Über Straßen, „schön“, Auflage, ö "a'
    assert text_of_latex(body) == '"Uber Stra"sen, "`sch"on"\', Auf"|lage, ö "a'


def test_percent_signs_that_begin_no_comment():
    assert text_of_latex(r"At \url{http://example.net/a%20b} it is. \href{http://e.net/c%20d}{Here} too.") == (
        "At http://example.net/a%20b it is. Here too."
    )
    assert text_of_latex(r"A \verb|%| sign, \verb+a{b}$+, \lstinline!x % 3! and \lstinline{y}.") == (
        "A % sign, a{b}$, x % 3 and y."
    )
    code = "\\begin{NAME}\n% not a comment\nx = 5 % 3  \\alpha $\n\\end{NAME}"
    for name in ("verbatim", "Verbatim", "lstlisting", "verbatim*"):
        found = text_of_latex(f"Before\n{code.replace('NAME', name)}\nafter")
        assert found.replace("\n\n", "\n") == "Before\n```\n% not a comment\nx = 5 % 3  \\alpha $\n```\nafter"
    assert text_of_latex("\\begin{minted}[linenos]{c}\nint x;\n\\end{minted}") == "```\nint x;\n```"
    assert text_of_latex("\\begin{lstlisting}[language=C]\nint x;\n\\end{lstlisting}") == "```\nint x;\n```"
    assert text_of_latex("a\\begin{comment}\nhidden % x\n\\end{comment}b") == "a\nb"
    assert without_comments("a\\\\% b\n\\url{x%y} \\% c") == "a\\\\\\url{x%y} \\% c"


def test_footnotes_follow_their_paragraph():
    source = "Hives\\footnote{All of \\emph{them}.} were empty.\\footnote{In May.} Then rain.\n\nNext\\thanks{Us} one."
    assert text_of_latex(source) == "Hives were empty. Then rain.\n\nAll of them.\n\nIn May.\n\nNext one.\n\nUs"
    assert text_of_latex("Plain\\footnote{*}{A note.} text") == "Plain text\n\nA note."


def test_pictures_leave_their_captions_and_tables_their_rows():
    source = r"""Before
\begin{figure}[ht]\centering\includegraphics{x}\caption[short]{A \emph{hive} of $n$
bees.\label{f}}\end{figure}
\begin{table}\caption{Counts}\begin{tabular}{lr}\toprule day & bees \\ \midrule 1 & 20\,\% \\ \cline{1-2}
\multicolumn{2}{c}{R \& D} \\[2pt]
\end{tabular}\end{table}
\begin{wrapfigure}{r}{4cm}\includegraphics{x}\caption{Wrapped}\end{wrapfigure}
\begin{tikzpicture}\node{x};\end{tikzpicture}After"""
    assert text_of_latex(source) == (
        "Before\n\nA hive of $n$ bees.\n\nCounts\n\n| day | bees |\n| 1 | 20 % |\n| R & D |\n\nWrapped\n\nAfter"
    )


def test_mathematics_stays_as_it_is_written():
    assert text_of_latex("cost \\$5 and $x_{\\text{a $b$}}$ end") == "cost $5 and $x_{\\text{a $b$}}$ end"
    assert text_of_latex("$$a\\label{x}$$ and \\(b\\), \\ensuremath{c}") == "$$a$$ and \\(b\\), $c$"
    assert text_of_latex("\\begin{align*}\n  a &= b \\\\[1em]\n    &= c\n\\end{align*}") == (
        "\\begin{align*}\n  a &= b \\\\[1em]\n    &= c\n\\end{align*}"
    )
    assert text_of_latex("US$ 5\n\nand $x$") == "US 5\n\nand $x$"


@pytest.mark.parametrize(
    ("definition", "use", "written"),
    [
        (r"\newcommand{\be}{\begin{equation}}\newcommand{\ee}{\end{equation}}", r"\be x\ee",
         r"\begin{equation} x\end{equation}"),
        (r"\newcommand{\al}{\alpha}\newcommand{\bal}{\bar\al}", r"$\al \bal\beta$", r"$\alpha \bar\alpha\beta$"),
        (r"\newcommand{\al}{\alpha}", r"$\al x+\al{x}$", r"$\alpha x+\alpha{x}$"),
        (r"\def\eps{\varepsilon}\let\e=\eps", r"$\e$", r"$\varepsilon$"),
        (r"\newcommand*\half[1][1]{\frac{#1}{2}}", r"$\half+\half[x]$", r"$\frac{1}{2}+\frac{x}{2}$"),
        (r"\newcommand{\two}[2]{#2#1}", r"$\two ab \two{#2}{c}$", r"$ba c#2$"),
        (r"\newcommand{\p}{\q}\newcommand{\q}[1]{(#1)}", r"\p{x}\p y", "(x)(y)"),
        (r"\DeclareMathOperator*{\argmax}{arg\,max}", r"$\argmax_x$", r"$\operatorname*{arg\,max}_x$"),
        (r"\DeclarePairedDelimiter{\norm}{\lVert}{\rVert}", r"$\norm*{x}\norm{y}$",
         r"$\lVert x \rVert\lVert y \rVert$"),
        (r"\newenvironment{eq}[1]{\begin{align}\label{#1}}{\end{align}}", r"\begin{eq}{a}x\end{eq}",
         r"\begin{align}x\end{align}"),
        (r"\def\x#1;{y}\renewcommand\section{\oldsection}", r"\section{A}", "## A"),
        (r"\newcommand{\be}{\csname equation*\endcsname}\newcommand{\ee}{\csname endequation*\endcsname}", r"\be x\ee",
         r"\begin{equation*} x\end{equation*}"),
        (r"\newcommand{\a}{1}\renewcommand{\a}{2}", r"$\a$", "$2$"),
        (r"\newcommand{\ie}{i.e.\xspace}", r"\ie that", "i.e. that"),
        (r"\newcommand{\x}{y\x}", r"a \x b", "a b"),
        (r"\newcommand{\al}{\alpha}\newcommand{\n}{n}", r"$\al\n\sin\n$", r"$\alpha n\sin n$"),
        (r"\newcommand{\next}{WRONG}", r"line\\next", "line\nnext"),
    ],
)  # fmt: skip
def test_macros(definition, use, written):
    found = text_of_latex(f"{definition}\n\\begin{{document}}{use}\\end{{document}}")
    assert found.replace("\n", "") == written.replace("\n", "")


def test_macros_that_grow_without_end_stay_and_cost_little():
    doubling = "".join(f"\\newcommand{{\\m{chr(97 + i)}}}{{\\m{chr(98 + i)}\\m{chr(98 + i)}}}" for i in range(20))
    assert len(expand_macros(doubling + "\\newcommand{\\mu}{}" + "\\ma " * 50)) < 20_000
    assert text_of_latex(r"\def\one{\two}\def\two{\one}\newcommand{\ok}{fine}\one\ok") == "fine"


def test_plain_and_ams_tex():
    source = r"""\magnification=1200 \parindent=0pt
\heading Of bees\endheading
\centerline{\bf A title}
$$\eqalign{a&=b\cr}$$
\proclaim{Theorem} They fly.\endproclaim
\Refs\ref\key 1\endref\endRefs"""
    found = text_of_latex(source)
    assert "Of bees" in found and "A title" in found and "1200" not in found and "0pt" not in found
    assert r"$$\eqalign{a&=b\cr}$$" in found and "They fly." in found


@given(st.text(alphabet=st.sampled_from(list("\\{}$%[]ab \n&~^_")), max_size=200))
def test_latex_never_fails_or_adds_a_word(source):
    text = text_of_latex(source)
    assert text == text.strip() and "\n\n\n" not in text
    assert text.count("a") <= source.count("a") and text.count("b") <= source.count("b")


PIECES = [
    "\\begin{figure}", "\\end{figure}", "\\begin{tabular}{l}", "\\end{tabular}", "\\caption{", "\\footnote{", "}", "{",
    "\\section{", "\\'", "\\item[", "]", "&", "\\\\", "word ", "\n\n", "$", "\\[", "\\]", "\\begin{align}",
    "\\end{align}",
    "\\verb|", "\\begin{verbatim}", "\\end{verbatim}", "\\newcommand{\\x}[1]{#1\\y}", "\\x", "\\def\\y{\\x",
    "\\begin{x}",
    "\\label{", "%", "\\url{", "\\t{", "\\verb|a|", "\\ensuremath{", "\\iffalse", "\\fi",
]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=40))
def test_latex_of_commands_in_any_order(pieces):
    text = text_of_latex("".join(pieces))
    assert "\ue000" not in text and "\ue002" not in text and text.count("word") <= 12 * pieces.count("word ") + 1


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (r"\numrange{1}{5} km, \numlist{1;2;3}, \qtyrange{1}{2}{\kg}, \SIlist{1;2}{\metre}",
         "1–5 km, 1, 2, 3, 1–2 kg, 1, 2 m"),
        (r"at \ang{30} or \ang{12;30;5}", "at 30° or 12°30′5″"),
        (r"a\rule{1pt}{2pt} b \captionsetup{font=small}c", "a b c"),
    ],
)  # fmt: skip
def test_ranges_angles_and_what_prints_nothing(source, text):
    assert text_of_latex(source) == text


def test_commands_defined_by_their_specification():
    defined = (
        r"\NewDocumentCommand{\norm}{O{2} m}{\|#2\|_{#1}}\DeclareDocumentCommand\two{m +m}{#1 and #2}"
        r"\NewDocumentCommand{\maybe}{s o m}{\IfValueTF{#2}{#2}{#3}}"
    )
    used = r"$\norm{x}$, $\norm[p]{x}$, \two{a}{b}, \maybe*{c}"
    assert text_of_latex(defined + r"\begin{document}" + used) == r"$\|x\|_{2}$, $\|x\|_{p}$, a and b, c"


def test_slides_have_titles_and_no_overlays():
    source = (
        r"\documentclass{beamer}\begin{document}\begin{frame}<1->[fragile]{Bees}"
        "\n"
        r"\begin{itemize}\item<1-> one \item<2> $a<b>c$\end{itemize} \only<1>{they} \alert<2->{fly}\end{frame}"
    )
    assert text_of_latex(source) == "## Bees\n\n- one\n- $a<b>c$\nthey fly"
    assert text_of_latex(r"\emph<1>{x} y") == "<1>x y"  # elsewhere it is text
