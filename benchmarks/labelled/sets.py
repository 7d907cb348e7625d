"""The labelled sets: public repositories, cloned beside each other (``git clone --depth 1 ADDRESS``), never
a part of this one.

    https://github.com/scrapinghub/article-extraction-benchmark   181 articles, 2020
    https://github.com/AndyTheFactory/article-extraction-dataset  421 news articles, 2023
    https://github.com/mozilla/readability                        130 articles, posts and manuals
    https://github.com/adbar/trafilatura                          990 pages, mostly German
    https://github.com/kepano/defuddle                            200 pages, many with code or formulas

The first two are texts that people have cleaned by hand. Readability's and Defuddle's are what those programs write,
looked through by their authors when it changes. Trafilatura's are pieces of text that must and must not be there.
"""

import gzip
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from lxml import html as lxml_html


@dataclass(frozen=True)
class Page:
    """A page with its text as it should be, or with pieces that must and must not be in it."""

    name: str
    kind: str
    html: str
    text: str = ""
    wanted: tuple[str, ...] = ()
    unwanted: tuple[str, ...] = ()
    parts: dict[str, list[str]] = field(default_factory=dict)
    """Lines of code, rows of tables (cells between tabs), items of lists, and formulas that should be kept."""


def read(path: Path) -> str:
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return data.decode("utf-8", "replace")


def scrapinghub(folder: Path) -> Iterator[Page]:
    truth = json.loads(read(folder / "ground-truth.json"))
    for name, label in truth.items():
        if (path := folder / "html" / f"{name}.html.gz").exists():
            yield Page(name, "article", read(path), label.get("articleBody", ""))


def news(folder: Path) -> Iterator[Page]:
    for name, label in json.loads(read(folder / "articles.json")).items():
        if (path := folder / "html" / f"{name}.html").exists():
            yield Page(name, "news", read(path), label.get("articleBody", ""))


def readability(folder: Path) -> Iterator[Page]:
    for path in sorted((folder / "test" / "test-pages").iterdir()):
        expected = lxml_html.document_fromstring(read(path / "expected.html"))
        parts = parts_of(expected)
        kind = "with code" if parts["code lines"] else "with tables" if parts["table rows"] else "prose"
        yield Page(path.name, kind, read(path / "source.html"), text_of(expected), parts=parts)


def trafilatura(folder: Path) -> Iterator[Page]:
    for address, label in json.loads(read(folder / "tests" / "evaldata.json")).items():
        for place in ("cache", "eval"):
            if (path := folder / "tests" / place / label["file"]).exists():
                wanted, unwanted = (tuple(label.get(key) or ()) for key in ("with", "without"))
                yield Page(address, "segments", read(path), wanted=wanted, unwanted=unwanted)
                break


def defuddle(folder: Path) -> Iterator[Page]:
    for path in sorted((folder / "tests" / "expected").glob("*.md")):
        source = folder / "tests" / "fixtures" / f"{path.stem}.html"
        if source.exists():
            markdown = re.sub(r"\A```json\n.*?\n```\n", "", read(path), flags=re.DOTALL)
            yield Page(
                path.stem, path.stem.partition("--")[0], read(source), plain(markdown), parts=markdown_parts(markdown)
            )


SETS = {
    "article-extraction-benchmark": scrapinghub,
    "article-extraction-dataset": news,
    "readability": readability,
    "trafilatura": trafilatura,
    "defuddle": defuddle,
}
"""By the name of the repository's folder."""


def text_of(root: lxml_html.HtmlElement) -> str:
    for element in root.iter(
        "p", "div", "li", "br", "td", "th", "tr", "pre", "h1", "h2", "h3", "h4", "blockquote", "dd"
    ):
        element.tail = f"\n{element.tail or ''}"
    return str(root.text_content())


def parts_of(root: lxml_html.HtmlElement) -> dict[str, list[str]]:
    return {
        "code lines": [line for pre in root.iter("pre") for line in pre.text_content().split("\n") if line.strip()],
        "table rows": [
            "\t".join(cells)
            for row in root.iter("tr")
            if len(cells := [" ".join(cell.text_content().split()) for cell in row if cell.tag in ("td", "th")]) > 1
            and all(len(cell) < 100 for cell in cells)
            and row.find(".//table") is None
            and any(cells)
        ],
        "list items": [
            text
            for item in root.iter("li")
            if item.find(".//li") is None and 0 < len(text := " ".join(item.text_content().split())) < 300
        ],
        "formulas": [],
    }


def plain(markdown: str) -> str:
    text = re.sub(r"!\[[^\]\n]*\]\([^)\n]*\)", "", markdown)
    text = re.sub(r"\[([^\]\n]*)\]\([^)\n]*\)", r"\1", text)
    return re.sub(r"<[^<>\n]{1,500}>|\[\^[^\]\n]{1,20}\]:?", " ", text)


def markdown_parts(markdown: str) -> dict[str, list[str]]:
    fences = re.findall(r"^```[^\n]*\n(.*?)^```[ \t]*$", markdown, re.DOTALL | re.MULTILINE)
    rest = re.sub(r"^```[^\n]*\n.*?^```[ \t]*$", "", markdown, flags=re.DOTALL | re.MULTILINE)
    rows = [line for line in rest.split("\n") if line.startswith("|") and not re.fullmatch(r"[|\s:-]+", line)]
    formulas = re.findall(r"\$\$\s*(.+?)\s*\$\$|(?<![\\$\w])\$([^$\n]{1,300})\$(?!\d)", rest, re.DOTALL)
    return {
        "code lines": [line for code in fences for line in code.split("\n") if line.strip()],
        "table rows": ["\t".join(" ".join(cell.split()) for cell in plain(row).strip("| ").split("|")) for row in rows],
        "list items": [
            " ".join(item.split()) for item in re.findall(r"^\s*(?:[-*]|\d+\.) (.+)$", plain(rest), re.MULTILINE)
        ],
        "formulas": [one or other for one, other in formulas if re.search(r"[\\^_=]", one or other)],
    }
