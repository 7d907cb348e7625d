r"""Formulas in web pages: MathML, the scripts and the output of MathJax and KaTeX, pictures with TeX as their text."""

import re
from collections.abc import Iterator
from typing import Any

from altiplano.corpus.extraction.html.mathml import latex_of_mathml, tidy_tex
from altiplano.optional_imports import extra

PICTURE = re.compile(r"(?:^|\s)(?:tex|latex|mwe-math-fallback\S*|ql-img-\S*|texImage|latex_img|mimetex)(?:\s|$)")
"""Classes of pictures whose alternative text is TeX (MediaWiki, WordPress, QuickLaTeX)."""

PICTURE_PLACE = re.compile(
    r"latex\.codecogs\.com|[/.](?:mime|math)tex\.cgi|latex\.php\?|[?&]cht=tx|/math/render/|_images/math/"
)
RENDERED = re.compile(r"(?:^|\s)(?:MathJax\S*|mjx-chtml|MJXp-\S+|MathJye)(?:\s|$)")
DISPLAY = re.compile(
    r"(?:^|\s)(?:katex-display|MathJax_\S*Display|mwe-math-mathml-display|mwe-math-fallback-image-display"
    r"|ql-img-displayed-equation|displaymath|equation|math-display|display)(?:\s|$)"
)


def formulas(root: Any) -> Iterator[tuple[Any, str, bool]]:
    """Each element below ``root`` that stands for a formula, its LaTeX, and whether it stands on lines of its own.

    What a program has drawn of a formula whose source is in the page is removed, so that nothing comes twice.
    """
    for script in [*root.iter("script")]:
        kind = (script.get("type") or "").lower()
        if kind.startswith(("math/tex", "math/mml")):
            _remove_drawing_before(script)
            text = script.text or ""
            latex = tidy_tex(text) if kind.startswith("math/tex") else _from_source(text)
            yield script, latex, "display" in kind.partition(";")[2]
    for math in [*root.iter("math", "{*}math", "mml:math", "m:math")]:
        whole, shown = _whole(math)
        if whole.getparent() is not None:
            shown = shown or math.get("display") == "block" or math.get("mode") == "display"
            yield whole, latex_of_mathml(math), shown or _is_alone(whole)
    for drawn in root.xpath(".//*[@data-mathml]"):
        if drawn.getparent() is not None:
            yield drawn, _from_source(drawn.get("data-mathml")), bool(DISPLAY.search(_class(drawn.getparent())))
    for picture in root.xpath(".//img[string-length(@alt) > 0 and (@class or @src)]"):
        alternative = picture.get("alt") or ""
        sure = PICTURE.search(_class(picture)) or PICTURE_PLACE.search((picture.get("src") or "")[:500])
        marked = "math" in _class(picture) and re.search(r"[\\^_=]", alternative)
        if alternative.strip() and (sure or marked) and picture.getparent() is not None:
            stripped = alternative.strip()
            shown = bool(DISPLAY.search(_class(picture))) or stripped.startswith(("\\[", "$$"))
            parents = [
                _class(above) for above in (picture.getparent(), picture.getparent().getparent()) if above is not None
            ]
            yield picture, tidy_tex(alternative), shown or "math" in parents or _is_alone(picture)


def _class(element: Any) -> str:
    return element.get("class") or ""


def _from_source(source: str) -> str:
    """The LaTeX of MathML that a page holds as text."""
    try:
        root = extra("lxml.html").fragment_fromstring(source, create_parent="div")
    except (ValueError, extra("lxml.etree").LxmlError):
        return ""
    return latex_of_mathml(root)


def _whole(math: Any) -> tuple[Any, bool]:
    """The element that holds a formula's MathML and its drawing, and whether its class says display."""
    whole, shown = math, bool(DISPLAY.search(_class(math)))
    for above in math.iterancestors():
        name = _class(above)
        if above.tag not in ("span", "div", "mjx-container", "mjx-assistive-mml", "nobr", "eq", "eqn", "script"):
            break
        shown = shown or bool(DISPLAY.search(name) and re.search("katex|mjx|mwe|MathJax", name))
        if above.tag.startswith("mjx-") or re.search(r"katex|mwe-math|MathJax|mjx|MJX", name):
            whole = above
            shown = shown or above.get("display") in ("true", "block")
        elif above.tag == "div" or (whole is not math and not shown):
            break
    return whole, shown


def _is_alone(element: Any) -> bool:
    """Whether nothing else is in its paragraph: so MediaWiki's authors set formulas apart."""
    above = element.getparent()
    rest = f"{above.text or ''}{element.tail or ''}".strip()
    return above.tag in ("dd", "p", "div", "center", "blockquote") and len(above) == 1 and rest in ("", ".", ",", ";")


def _remove_drawing_before(script: Any) -> None:
    """MathJax 2 puts a preview and what it draws right before the source."""
    before = script.getprevious()
    while before is not None and not (before.tail or "").strip():
        if not (isinstance(before.tag, str) and RENDERED.search(_class(before))):
            break
        drawing, before = before, before.getprevious()
        drawing.getparent().remove(drawing)
