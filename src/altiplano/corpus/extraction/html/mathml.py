r"""MathML to LaTeX: the authors' own source where the page carries it, else the presentation elements, one by one.

``<mfrac><mn>1</mn><mn>2</mn></mfrac>`` becomes ``\frac{1}{2}``. Elements are the ones of MathML Core and MathML 3's
presentation part (https://www.w3.org/TR/mathml-core/); an unknown one leaves what is inside it.
"""

import html
import re
import unicodedata
from collections.abc import Sequence
from typing import Any

TEX_ENCODINGS = {"application/x-tex", "application/x-latex", "text/x-tex", "text/x-latex", "tex", "latex", "math/tex"}
TEX_COMMENT = re.compile(r"(?<!\\)%[^\n]*(?:\n|\Z)")
STYLE = re.compile(r"\A\{?\\(?:display|text)style(?![a-zA-Z])\s*")
CONTROL_WORD = re.compile(r"\\[a-zA-Z]+\Z")
MAX_DEPTH = 150
"""Levels of elements; what is deeper is written without its layout."""

GREEK = [
    "alpha", "beta", "gamma", "delta", "varepsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu",
    "nu", "xi", "omicron", "pi", "rho", "varsigma", "sigma", "tau", "upsilon", "varphi", "chi", "psi", "omega",
]  # fmt: skip
SYMBOLS = {
    **{chr(0x3B1 + at): f"\\{name}" for at, name in enumerate(GREEK)},
    **{
        chr(0x391 + at): f"\\{name.capitalize()}"
        for at, name in enumerate(GREEK)
        if name in {"gamma", "delta", "theta", "lambda", "xi", "pi", "upsilon", "psi", "omega"}
    },
    "Σ": r"\Sigma", "Φ": r"\Phi", "ο": "o", "ϵ": r"\epsilon", "ϕ": r"\phi", "ϑ": r"\vartheta", "ϖ": r"\varpi",
    "ϱ": r"\varrho", "ϰ": r"\varkappa", "ℓ": r"\ell", "ℏ": r"\hbar", "ħ": r"\hbar", "ı": r"\imath", "ȷ": r"\jmath",
    "∂": r"\partial", "∇": r"\nabla", "∞": r"\infty", "∅": r"\emptyset", "ℵ": r"\aleph", "℘": r"\wp",
    "×": r"\times", "÷": r"\div", "±": r"\pm", "∓": r"\mp", "⋅": r"\cdot", "·": r"\cdot", "∘": r"\circ",
    "∗": "*", "⋆": r"\star", "•": r"\bullet", "⊕": r"\oplus", "⊗": r"\otimes", "⊖": r"\ominus", "⊙": r"\odot",
    "†": r"\dagger", "‡": r"\ddagger", "−": "-", "∖": r"\setminus", "∪": r"\cup", "∩": r"\cap", "∧": r"\wedge",
    "∨": r"\vee", "¬": r"\neg", "≤": r"\le", "≥": r"\ge", "⩽": r"\leqslant", "⩾": r"\geqslant", "≪": r"\ll",
    "≫": r"\gg", "≠": r"\ne", "≈": r"\approx", "≡": r"\equiv", "≅": r"\cong", "≃": r"\simeq", "∼": r"\sim",
    "∝": r"\propto", "∈": r"\in", "∉": r"\notin", "∋": r"\ni", "⊂": r"\subset", "⊃": r"\supset",
    "⊆": r"\subseteq", "⊇": r"\supseteq", "≺": r"\prec", "≻": r"\succ", "⊢": r"\vdash", "⊨": r"\models",
    "⊥": r"\perp", "∥": r"\parallel", "∣": r"\mid", "∀": r"\forall", "∃": r"\exists", "∄": r"\nexists",
    "→": r"\to", "←": r"\leftarrow", "↔": r"\leftrightarrow", "⇒": r"\Rightarrow", "⇐": r"\Leftarrow",
    "⇔": r"\Leftrightarrow", "⟶": r"\longrightarrow", "⟹": r"\implies", "⟺": r"\iff", "↦": r"\mapsto",
    "↑": r"\uparrow", "↓": r"\downarrow", "⇌": r"\rightleftharpoons", "↪": r"\hookrightarrow",
    "∑": r"\sum", "∏": r"\prod", "∐": r"\coprod", "∫": r"\int", "∬": r"\iint", "∭": r"\iiint", "∮": r"\oint",
    "⋃": r"\bigcup", "⋂": r"\bigcap", "⋁": r"\bigvee", "⋀": r"\bigwedge", "⨁": r"\bigoplus", "⨂": r"\bigotimes",
    "⟨": r"\langle", "⟩": r"\rangle", "〈": r"\langle", "〉": r"\rangle", "⌊": r"\lfloor", "⌋": r"\rfloor",
    "⌈": r"\lceil", "⌉": r"\rceil", "‖": r"\|", "…": r"\ldots", "⋯": r"\cdots", "⋮": r"\vdots", "⋱": r"\ddots",
    "∠": r"\angle", "△": r"\triangle", "□": r"\square", "∴": r"\therefore", "∵": r"\because", "√": r"\surd",
    "′": "'", "″": "''", "‴": "'''", "°": r"^{\circ}", "\xa0": "~",
    "{": r"\{", "}": r"\}", "%": r"\%", "&": r"\&", "#": r"\#", "$": r"\$", "_": r"\_", "\\": r"\backslash",
    "^": r"\hat{}", "~": r"\sim",
    **dict.fromkeys("\u2061\u2062\u2063\u2064\u200b", ""),  # invisible operators
}  # fmt: skip
NAMES = {
    "arccos", "arcsin", "arctan", "arg", "cos", "cosh", "cot", "coth", "csc", "deg", "det", "dim", "exp", "gcd", "hom",
    "inf", "ker", "lg", "lim", "liminf", "limsup", "ln", "log", "max", "min", "Pr", "sec", "sin", "sinh", "sup", "tan",
    "tanh",
}  # fmt: skip
LIMITS = re.compile(
    r"\A\\(?:sum|prod|coprod|i{1,3}nt|oint|big[a-z]+|lim|liminf|limsup|max|min|sup|inf|det|gcd|Pr|operatorname\{[^{}]*\})\Z"
)
"""Operators whose limits LaTeX writes as scripts."""

ONE = re.compile(
    r"\A(?:[^\W_]|[\d.,]+|\\[a-zA-Z]+|\\(?!frac)[a-zA-Z]+\{(?:[^{}\\]|\\[a-zA-Z]+)*\}|[^_^]*(?:[)\]|]|\\\}|\\rangle))\Z"
)
"""What a script may stand behind without braces."""

OVER = {
    "¯": "bar", "‾": "overline", "―": "overline", "_": "overline", "^": "hat", "ˆ": "hat", "~": "tilde", "˜": "tilde",
    "∼": "tilde", "→": "vec", "˙": "dot", "¨": "ddot", "´": "acute", "`": "grave", "˘": "breve",
    "ˇ": "check", "⏞": "overbrace", "\u0302": "hat", "\u0303": "tilde", "\u0304": "bar", "\u0305": "overline",
    "\u0307": "dot", "\u0308": "ddot", "\u20d7": "vec", ".": "dot",
}  # fmt: skip
UNDER = {"_": "underline", "¯": "underline", "‾": "underline", "\u0332": "underline", "⏟": "underbrace"}
VARIANTS = {
    "normal": "mathrm", "bold": "mathbf", "bold-italic": "boldsymbol", "double-struck": "mathbb", "script": "mathcal",
    "bold-script": "mathcal", "fraktur": "mathfrak", "bold-fraktur": "mathfrak", "sans-serif": "mathsf",
    "bold-sans-serif": "mathsf", "monospace": "mathtt",
}  # fmt: skip
ALPHABETS = (
    ("DOUBLE-STRUCK", "mathbb"), ("FRAKTUR", "mathfrak"), ("BLACK-LETTER", "mathfrak"), ("SCRIPT", "mathcal"),
    ("SANS-SERIF", "mathsf"), ("MONOSPACE", "mathtt"), ("BOLD ITALIC", "boldsymbol"), ("BOLD", "mathbf"),
)  # fmt: skip
"""By words in the names of Unicode's mathematical letters (𝐀, ℝ, ℒ); italic ones are plain."""


def latex_of_mathml(element: Any) -> str:
    r"""The LaTeX of an lxml element ``math`` (or a part of one), in one line and without dollars around it.

    Tags may be in MathML's namespace, behind a prefix (``mml:mi``) or bare. An ``annotation`` in TeX is taken as it
    is, and so is ``alttext`` (LaTeXML's, arXiv's pages).
    """
    for child in element.iter():
        in_tex = _name(child) == "annotation" and (child.get("encoding") or "").strip().lower() in TEX_ENCODINGS
        if in_tex and (source := tidy_tex(_text(child))):
            return source
    if "\\" in (alternative := element.get("alttext") or "") or re.search(r"[\^_]", alternative):
        return tidy_tex(alternative)
    return _latex(element, 0).strip()


def tidy_tex(source: str) -> str:
    r"""A formula in one line, without comments, ``\displaystyle`` around the whole and delimiters."""
    source = " ".join(TEX_COMMENT.sub("", source).split())
    for opening, closing in (("$$", "$$"), ("$", "$"), ("\\(", "\\)"), ("\\[", "\\]")):
        if source.startswith(opening) and source.endswith(closing) and len(source) >= len(opening + closing):
            source = source[len(opening) : -len(closing)].strip()
            break
    if style := STYLE.match(source):
        if not source.startswith("{"):
            return source[style.end() :]
        if source.endswith("}") and _one_group(source):
            return source[style.end() : -1].strip()
    return source


def _one_group(source: str) -> bool:
    """Whether the brace at the beginning is closed by the one at the end."""
    depth = 0
    for match in re.finditer(r"\\.|[{}]", source):
        depth += (match[0] == "{") - (match[0] == "}")
        if depth == 0:
            return match.end() == len(source)
    return False


def _name(element: Any) -> str:
    return re.split("[}:]", element.tag)[-1].lower() if isinstance(element.tag, str) else ""


def _text(element: Any) -> str:
    """Without comments. A reader of XML that resolves no entities leaves their names in the text."""
    return html.unescape("".join(element.itertext()))


def _latex(element: Any, depth: int) -> str:
    name = _name(element)
    children = [child for child in element if _name(child)]
    if name in TOKENS or not children:
        return _token(name, element)
    if depth > MAX_DEPTH:
        return _escaped(_text(element))
    if name in ("semantics", "maction"):
        return _latex(children[0], depth + 1)
    if name == "mtable":
        return _matrix(children, depth)
    if name in ("mphantom", "annotation", "annotation-xml"):
        return ""
    parts = [_latex(child, depth + 1) for child in children]
    if name == "mmultiscripts":
        return _prescripted([_name(child) for child in children], parts)
    if name in ARGUMENTS and len(parts) == ARGUMENTS[name]:
        return _layout(name, parts, element)
    inner = _joined(parts)
    notation = (element.get("notation") or "").split()
    if name == "msqrt" or "radical" in notation:
        return f"\\sqrt{{{inner}}}"
    if "box" in notation:
        return f"\\boxed{{{inner}}}"
    return _fenced(element, parts) if name == "mfenced" else inner


TOKENS = {"mi", "mn", "mo", "mtext", "ms", "mspace"}
ARGUMENTS = {"mfrac": 2, "mroot": 2, "msub": 2, "msup": 2, "munder": 2, "mover": 2, "msubsup": 3, "munderover": 3}


def _token(name: str, element: Any) -> str:
    text = _text(element)
    if name == "mspace":
        return r"\ " if (element.get("width") or "0")[:1].isdigit() and (element.get("width") or "0")[0] != "0" else ""
    if name in ("mtext", "ms"):
        words = re.sub(r"\s+", " ", text)
        return f"\\text{{{_escaped_words(words)}}}" if words.strip() else r"\ " if words else ""
    text = text.strip()
    if name in ("mi", "mo") and text in NAMES:
        return f"\\{text}"
    if name in ("mi", "mo") and len(text) > 1 and text.isascii() and text.isalpha():
        return f"\\operatorname{{{text}}}" if name == "mo" else f"\\mathrm{{{text}}}"
    latex = _escaped(text)
    variant = VARIANTS.get(element.get("mathvariant") or "")
    if not variant or not text.isalnum():
        return latex
    return f"\\{variant if text.isascii() or variant != 'mathbf' else 'boldsymbol'}{{{latex}}}"


def _escaped(text: str) -> str:
    return _joined([_symbol(character) for character in text])


def _escaped_words(text: str) -> str:
    return re.sub(r"[%&#$_{}]", r"\\\g<0>", text.replace("\\", "/"))


def _symbol(character: str) -> str:
    if character in SYMBOLS or character.isascii():
        return SYMBOLS.get(character, character)
    plain = unicodedata.normalize("NFKC", character)
    if len(plain) == 1 and plain != character and plain.isalnum():  # a letter of a mathematical alphabet
        name = unicodedata.name(character, "")
        command = next((command for words, command in ALPHABETS if words in name), "")
        latex = SYMBOLS.get(plain, plain)
        return f"\\{command}{{{latex}}}" if command else latex
    return character


def _joined(parts: Sequence[str]) -> str:
    """One after another; a command's name ends before a letter that follows."""
    joined: list[str] = []
    for part in filter(None, parts):
        if joined and part[0].isalpha() and CONTROL_WORD.search(joined[-1][-40:]):
            joined.append(" ")
        joined.append(part)
    return "".join(joined)


def _layout(name: str, parts: list[str], element: Any) -> str:
    base, first = parts[0], parts[1]
    if name == "mfrac":
        bar = element.get("linethickness") not in ("0", "0px", "0pt", "0em")
        return f"\\frac{{{base}}}{{{first}}}" if bar else f"{{{base} \\atop {first}}}"
    if name == "mroot":
        return f"\\sqrt[{first}]{{{base}}}"
    if name in ("munder", "mover", "munderover") and not LIMITS.match(base):
        if name == "munderover":
            return f"\\overset{{{parts[2]}}}{{\\underset{{{first}}}{{{base}}}}}"
        mark = "".join(element[-1].itertext()).strip() if len(element) else ""
        command = (OVER if name == "mover" else UNDER).get(mark)
        if command:
            return f"\\{command}{{{base}}}"
        if base.startswith(("\\overbrace", "\\underbrace")):
            return f"{base}{'^' if name == 'mover' else '_'}{{{first}}}"
        return f"\\{'over' if name == 'mover' else 'under'}set{{{first}}}{{{base}}}"
    scripts = ["", ""]
    if name in ("msup", "mover"):
        scripts[1] = first
    else:
        scripts = [first, parts[2] if len(parts) > 2 else ""]
    return _scripted(base, *scripts)


def _scripted(base: str, sub: str, sup: str) -> str:
    if base and not ONE.match(base) and not LIMITS.match(base):
        base = f"{{{base}}}"
    sub = f"_{{{sub}}}" if sub else ""
    if sup and not sup.strip("'"):
        return f"{base or '{}'}{sup}{sub}"
    return f"{base or '{}'}{sub}" + (f"^{{{sup}}}" if sup else "")


def _prescripted(names: list[str], parts: list[str]) -> str:
    """``mmultiscripts``: the base, pairs of scripts behind it, then pairs of scripts before it."""
    split = names.index("mprescripts") if "mprescripts" in names else len(names)
    latex = parts[0]
    for sub, sup in zip(parts[1:split:2], parts[2:split:2], strict=False):
        latex = _scripted(latex, sub, sup)
    before = "".join(
        _scripted("", sub, sup) for sub, sup in zip(parts[split + 1 :: 2], parts[split + 2 :: 2], strict=False)
    )
    return before + latex


def _fenced(element: Any, parts: list[str]) -> str:
    separators = "".join((element.get("separators", ",")).split())
    inner = parts[0]
    for at, part in enumerate(parts[1:]):
        inner += (separators[min(at, len(separators) - 1)] if separators else "") + part
    return _joined([_escaped(element.get("open", "(")), inner, _escaped(element.get("close", ")"))])


def _matrix(rows: list[Any], depth: int) -> str:
    lines = []
    for row in rows:
        cells = [cell for cell in row if _name(cell)]
        if _name(row) == "mlabeledtr":
            cells = cells[1:]
        lines.append(" & ".join(_latex(cell, depth + 2) for cell in cells))
    inside = r" \\ ".join(lines)
    return f"\\begin{{matrix}} {inside} \\end{{matrix}}"
