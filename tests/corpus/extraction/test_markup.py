"""Lightweight markup, wikitext and LaTeX macros to text."""

import json

from altiplano.corpus.extraction.extract import extract
from altiplano.corpus.extraction.latex.text_of_latex import text_of_latex
from altiplano.corpus.extraction.markup import text_of_asciidoc, text_of_markdown, text_of_rst
from altiplano.corpus.extraction.mediawiki.wikitext import text_of_wikitext
from altiplano.corpus.readers.formats import jsonl, text
from corpus.support import split


def test_latex_macros_are_written_out():
    source = r"""\newcommand{\R}{\mathbb{R}} \newcommand\pair[2]{\langle #1, #2\rangle}
\DeclareMathOperator{\rank}{rank} \def\eps{\varepsilon} \newcommand{\opt}[1][x]{#1}
\begin{document}Let $x \in \R$ and $\pair{a}{b_{1}}$ of $\rank A < \eps$, $\opt$.\end{document}"""
    assert text_of_latex(source) == (
        r"Let $x \in \mathbb{R}$ and $\langle a, b_{1}\rangle$ of $\operatorname{rank} A < \varepsilon$, $x$."
    )


def test_wikitext():
    source = """{{Infobox|name={{nested|[[x]]}}|y=1}}
'''Blue''' is a [[Color|colour]] of [[light]]s.<ref name="a">see [http://a.example x]</ref> [[File:S.jpg|The [[sky]]]]
== History ==
* one
** two [https://b.example/ site]
# three
{| class="wikitable"
|+ Shades
! name !! hex
|-
| style="x" | Navy || 000080
|-
| Azure
| 007FFF
|}
<math>a = \\frac{1}{2}</math> &amp; <code>[[raw]]</code><br/>end
<!-- hidden -->[[Category:Colours]]
== References ==
{{reflist}}
== Trivia ==
last"""
    assert text_of_wikitext(source) == (
        "Blue is a colour of lights.\n\n## History\n\n- one\n  - two site\n- three\n\nShades\n"
        "| name | hex |\n| Navy | 000080 |\n| Azure | 007FFF |\n\n"
        "$a = \\frac{1}{2}$ & [[raw]]\nend\n\n## Trivia\n\nlast"
    )
    assert text_of_wikitext("}} ]] |} {{never [[closed") == "}} ]] |} {{never [[closed"
    assert text_of_wikitext("{{" * 20_000 + "x" + "}}" * 20_000) == ""


def test_markdown():
    source = (
        '---\ntitle: "Of hills"\nlayout: x\n---\n\nimport A from "./a";\n\n'
        "Text <!-- no --> {/* no */}![a hill](h.png) goes on.\n\n"
        "```md\n<!-- kept -->\n![kept](x)\n```\n\n| a | b |\n|---|---|\n"
    )
    assert text_of_markdown(source) == (
        "# Of hills\n\n\nText  a hill goes on.\n\n```md\n<!-- kept -->\n![kept](x)\n```\n\n| a | b |\n|---|---|"
    )
    assert text_of_markdown("---\n\nA rule above.\n\n---\nbelow") == "---\n\nA rule above.\n\n---\nbelow"


def test_asciidoc():
    source = (
        "[[_top]]\n= Title\n:toc: left\n// comment\ninclude::other.adoc[]\n\n(((index)))Text with ((terms)), see "
        "https://a.example[the site], <<_top>> and <<_top,above>>.\n\n"
        "[source,ruby]\n----\n// kept\ninclude::kept[]\n----\n\n"
        "////\nblock\n////\nimage::x.png[A picture]\nEnd."
    )
    assert text_of_asciidoc(source) == (
        "= Title\n\nText with terms, see the site, _top and above.\n\n----\n// kept\ninclude::kept[]\n----\n\nEnd."
    )


def test_restructuredtext():
    source = (
        ".. _label:\n\nTitle\n=====\n\n.. comment\n   goes on\n\n.. toctree::\n   :maxdepth: 2\n\n   one\n\n"
        "Use :func:`~os.path.join` or :ref:`the chapter <label>`, see `Python <https://python.org>`_.\n\n"
        ".. note::\n\n   Stay awake.\n\n.. code-block:: python\n   :linenos:\n\n   x = 1\n"
    )
    found = text_of_rst(source)
    assert found.replace("\n\n\n", "\n\n") == (
        "Title\n=====\n\nUse ``os.path.join`` or the chapter, see Python.\n\n.. note::\n\n   Stay awake.\n\n"
        ".. code-block:: python\n\n   x = 1"
    )


def test_markup_in_code_stays():
    for code in (
        "````md\n```\n<!-- x -->\n```\n````",
        "> ```\n> <!-- x -->\n> ```",
        "~~~\n![a](b)\n~~~",
        "`<!-- x -->` is one",
    ):
        assert text_of_markdown(f"{code}\nafter<!-- y -->") == f"{code}\nafter"
    for code in ("x::\n\n  .. comment\n\n  .. image:: y", ".. code:: rst\n\n   .. comment\n   :ref:`x`"):
        assert text_of_rst(f"{code}\n\n.. gone\n\nafter").replace("\n\n\n", "\n\n") == f"{code}\n\nafter"
    for fence in ("```", "----", "....", "++++"):
        assert text_of_asciidoc(f"{fence}\n// x\n{fence}\n// y\nafter") == f"{fence}\n// x\n{fence}\nafter"


def test_what_is_no_text_in_markdown():
    assert text_of_markdown("\ufeff---\na: b\n...\nText") == "Text"
    assert text_of_markdown("import {\n  A,\n} from 'x'\n\nexport const b = {\n  a: 1,\n}\n\nText") == "Text"
    assert text_of_markdown("Inline ```a``` code\n<!-- no -->b") == "Inline ```a``` code\nb"


def test_restructuredtext_keeps_captions_and_mathematics():
    assert text_of_rst(".. figure:: a.png\n   :alt: x\n\n   The caption.\n\nafter") == "   The caption.\n\nafter"
    assert text_of_rst("where :math:`a^2` is") == "where $a^2$ is"


def test_the_ending_tells_the_markup(tmp_path):
    (tmp_path / "a.md").write_text("---\ntitle: T\n---\nbody")
    (raw,), _ = split(text.read(tmp_path / "a.md", "a.md"))
    assert raw.markup == "markdown" and extract(raw) == "# T\n\nbody"
    (tmp_path / "b.jsonl").write_text(json.dumps({"path": "x/b.adoc", "text": ":a: b\ntext"}))
    (raw,), _ = split(jsonl.read(tmp_path / "b.jsonl", "b"))
    assert extract(raw) == "text"
