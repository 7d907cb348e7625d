"""Pages of our own, with every part in several kinds of markup, where what must be kept is known exactly."""

import random
from collections.abc import Iterator

from labelled.sets import Page

WORDS = [
    "river",
    "stone",
    "orchard",
    "harvest",
    "village",
    "winter",
    "bridge",
    "garden",
    "market",
    "window",
    "candle",
    "letter",
    "morning",
    "silver",
    "mountain",
    "shepherd",
    "kettle",
    "lantern",
    "meadow",
    "harbour",
    "thunder",
    "basket",
    "feather",
    "copper",
    "saddle",
    "willow",
    "barrel",
    "cottage",
    "pepper",
    "anchor",
]
FRAMES = (
    "<article>{}</article>",
    "<main><div>{}</div></main>",
    '<div class="content"><div>{}</div></div>',
    "<div>{}</div>",
)
CODE = [
    "def area(width, height):",
    "    if width < 0:",
    "",
    "        return None",
    "    # <both> sides",
    "    return width * height",
]


def sentence(dice: random.Random) -> str:
    return " ".join(dice.choices(WORDS, k=dice.randint(8, 18))).capitalize() + "."


def prose(dice: random.Random, paragraphs: int) -> str:
    return "".join(f"<p>{' '.join(sentence(dice) for _ in range(4))}</p>" for _ in range(paragraphs))


def escaped(line: str) -> str:
    return line.replace("&", "&amp;").replace("<", "&lt;")


def code(dice: random.Random) -> tuple[str, list[str]]:
    name = "".join(dice.choices("abcdefghij", k=8))
    lines = [line.replace("area", name).replace("width", name[:3]) for line in CODE]
    shown = [escaped(line) for line in lines]
    numbers = "\n".join(str(at) for at in range(1, len(lines) + 1))
    whole = "\n".join(shown)
    markup = dice.choice([
        f"<pre><code>{whole}</code></pre>",
        f"<dl><dt>{name}()</dt><dd><p>{sentence(dice)}</p><div class='highlight'><pre>{whole}</pre></div></dd></dl>",
        f"<table class='highlighttable'><tr><td class='linenos'><pre>{numbers}</pre></td>"
        f"<td class='code'><pre>{whole}</pre></td></tr></table>",
        "<pre><code>" + "".join(f"<div>{line}</div>" for line in shown) + "</code></pre>",
        "<table class='js-file-line-container'>" + "".join(
            f"<tr><td class='blob-num' data-line-number='{at}'></td><td class='blob-code js-file-line'>{line}</td></tr>"
            for at, line in enumerate(shown, 1)) + "</table>",
        f"<figure class='highlight'><pre>{whole}</pre></figure>",
    ])  # fmt: skip
    return markup, [line for line in lines if line]


def table(dice: random.Random) -> tuple[str, list[str]]:
    rows = [[dice.choice(WORDS), str(dice.randint(10, 9999)), dice.choice(WORDS)] for _ in range(dice.randint(3, 9))]
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return dice.choice(["<table>{}</table>", "<figure><table><tbody>{}</tbody></table></figure>"]).format(body), [
        "\t".join(row) for row in rows
    ]


def items(dice: random.Random) -> tuple[str, list[str]]:
    texts = [sentence(dice) for _ in range(dice.randint(2, 7))]
    tag = dice.choice(["ul", "ol"])
    return f"<{tag}>" + "".join(f"<li>{text}</li>" for text in texts) + f"</{tag}>", texts


def formula(dice: random.Random) -> tuple[str, list[str]]:
    a, b = dice.sample("abcdkmnpqr", 2)
    latex = rf"\frac{{{a}}}{{{b}}}+{a}^{{2}}"
    mathml = f"<mrow><mfrac><mi>{a}</mi><mi>{b}</mi></mfrac><mo>+</mo><msup><mi>{a}</mi><mn>2</mn></msup></mrow>"
    annotated = (
        f"<math><semantics>{mathml}<annotation encoding='application/x-tex'>{latex}</annotation></semantics></math>"
    )
    markup = dice.choice([
        f"<p>We find <math>{mathml}</math> here.</p>", f"<p>We find {annotated} here.</p>",
        f"<p>We find <script type='math/tex'>{latex}</script> here.</p>", f"<math display='block'>{mathml}</math>",
        f"<p>We find <span class='katex'><span class='katex-mathml'>{annotated}</span><span class='katex-html' "
        f"aria-hidden='true'>{a}{b}</span></span> here.</p>",
        f"<p>We find <span class='mwe-math-element'><span style='display: none'>{annotated}</span><img "
        f"class='mwe-math-fallback-image-inline' alt='{latex}'></span> here.</p>",
    ])  # fmt: skip
    return markup, [latex]


PARTS = {"code lines": code, "table rows": table, "list items": items, "formulas": formula}


def generated(pages: int = 200) -> Iterator[Page]:
    for at in range(pages):
        dice = random.Random(at)
        parts: dict[str, list[str]] = {name: [] for name in PARTS}
        body = f"<h1>{sentence(dice)}</h1>{prose(dice, 3)}"
        for name in dice.choices(sorted(PARTS), k=4):
            markup, expected = PARTS[name](dice)
            parts[name] += expected
            body += f"{markup}{prose(dice, 2)}"
        menu = "".join(f'<li><a href="/{word}">{word}</a></li>' for word in WORDS[:12])
        frame = FRAMES[at % len(FRAMES)].format(body)
        head = "<html><head><title>T</title></head>"
        html = f"{head}<body><nav><ul>{menu}</ul></nav>{frame}<footer>© {at}</footer></body></html>"
        yield Page(f"{at}", "generated", html, parts=parts)
