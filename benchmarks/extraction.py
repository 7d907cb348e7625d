"""HTML extraction beside others, judged by texts that people have labelled.

    python benchmarks/extraction.py --data FOLDER                   all sets in the folder
    python benchmarks/extraction.py --data FOLDER --half second     pages whose names' hashes are odd

``FOLDER`` holds the clones that ``labelled/sets.py`` names; what is missing is left out. Every page goes through all
extractors, one after the other, in turns; pages per second are of processor time. Settings were chosen on the first
half of each set; the demands are judged on the second. Ends with one JSON line; exit status 1 when a demand is missed:
quality's mean F1 over the sets is at least the best peer's, hybrid's within 0.02 of that at three times
that peer's rate.
Parts kept are counted on Readability's and Defuddle's pages and on generated ones.
"""

import argparse
import hashlib
import json
import logging
import platform
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from statistics import fmean

import justext
import trafilatura
from labelled.generated import PARTS, generated
from labelled.scores import kept, score
from labelled.sets import SETS, Page
from lxml import etree
from resiliparse.extract.html2text import extract_plain_text

from altiplano.corpus.extraction.html.main_text import MODES

Extractor = Callable[[str], str]
MAX_HYBRID_LOSS = 0.02
MIN_HYBRID_SPEED = 3.0


def boilerplate_removed(html: str) -> str:
    paragraphs = justext.justext(html.encode(), justext.get_stoplist("English"))
    return "\n".join(paragraph.text for paragraph in paragraphs if not paragraph.is_boilerplate)


def peers() -> dict[str, Extractor]:
    """datatrove's default is trafilatura for precision without what was already there; here in our version of it."""
    return {
        "trafilatura": lambda html: trafilatura.extract(html, include_comments=False) or "",
        "trafilatura, precision": lambda html: (
            trafilatura.extract(html, include_comments=False, favor_precision=True) or ""
        ),
        "datatrove": lambda html: (
            trafilatura.extract(html, include_comments=False, favor_precision=True, deduplicate=True) or ""
        ),
        "resiliparse": lambda html: extract_plain_text(html, main_content=True, alt_texts=False),
        "jusText": boilerplate_removed,
    }


def first_half(page: Page) -> bool:
    return hashlib.sha256(page.name.encode()).digest()[0] % 2 == 0


def run(pages: list[Page], ways: dict[str, Extractor]) -> tuple[dict[str, list[str]], dict[str, float]]:
    """Each way's texts, in the order of the pages, and its seconds of processor time."""
    texts: dict[str, list[str]] = {name: [] for name in ways}
    seconds = dict.fromkeys(ways, 0.0)
    order = list(ways)
    for at, page in enumerate(pages):
        for name in order[at % len(order) :] + order[: at % len(order)]:
            begin = time.process_time()
            try:
                text = ways[name](page.html)
            except (ValueError, TypeError, AttributeError, AssertionError, RecursionError, etree.LxmlError):
                text = ""
            seconds[name] += time.process_time() - begin
            texts[name].append(text)
    return texts, seconds


def measure(sets: dict[str, list[Page]], ways: dict[str, Extractor]) -> dict[str, dict[str, object]]:
    """By way: F1 of each set and page type, parts kept, pages a second."""
    results: dict[str, dict[str, object]] = {name: {} for name in ways}
    there: dict[str, dict[str, int]] = {name: defaultdict(int) for name in ways}
    asked: dict[str, int] = defaultdict(int)
    spent, count = dict.fromkeys(ways, 0.0), 0
    for title, pages in sets.items():
        texts, seconds = run(pages, ways)
        count += len(pages) if title != "generated" else 0
        where = "generated" if title == "generated" else "labelled"
        for page in pages:
            for what, expected in page.parts.items():
                asked[f"{what}, {where}"] += len(expected)
        for name in ways:
            spent[name] += seconds[name] if title != "generated" else 0
            both = list(zip(pages, texts[name], strict=True))
            for page, text in both:
                for what, expected in page.parts.items():
                    there[name][f"{what}, {where}"] += kept(what, expected, text)
            if title != "generated":
                results[name][title] = round(score(both), 4)
                kinds = sorted({page.kind for page in pages})
                if len(kinds) > 1:
                    groups = {kind: [pair for pair in both if pair[0].kind == kind] for kind in kinds}
                    results[name][f"{title} by type"] = {
                        kind: round(score(group), 3) for kind, group in groups.items() if len(group) >= 10
                    }
        print(f"{title}: {len(pages)} pages", file=sys.stderr)
    for name in ways:
        results[name]["mean"] = round(fmean(results[name][title] for title in sets if title != "generated"), 4)
        results[name]["parts"] = {
            what: round(there[name][what] / number, 3) for what, number in asked.items() if number
        }
        results[name]["pages a second"] = round(count / spent[name], 1)
    return results


def table(results: dict[str, dict[str, object]], titles: list[str]) -> str:
    first = next(iter(results.values()))
    rows = [["", *titles, "mean", "pages/CPU s", *first["parts"]]]
    for name, result in results.items():
        figures = [
            *(result[title] for title in titles),
            result["mean"],
            result["pages a second"],
            *result["parts"].values(),
        ]
        rows.append([name, *(f"{figure:.3f}" if figure <= 1 else f"{figure:.0f}" for figure in figures)])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with the clones of labelled/sets.py")
    parser.add_argument("--half", choices=("first", "second", "all"), default="second")
    parser.add_argument("--pages", type=int, default=0, help="at most so many of each set")
    arguments = parser.parse_args()
    logging.disable(logging.CRITICAL)
    sets: dict[str, list[Page]] = {}
    for title, load in SETS.items():
        if (folder := arguments.data / title).is_dir():
            pages = [page for page in load(folder) if page.text.strip() or page.wanted]
            halves = {"first": True, "second": False}
            pages = [page for page in pages if first_half(page) is halves.get(arguments.half, first_half(page))]
            sets[title] = pages[: arguments.pages or None]
    if not sets:
        parser.error(f"--data: none of {', '.join(SETS)} in {arguments.data}")
    titles = list(sets)
    sets["generated"] = list(generated())
    results = measure(sets, {**MODES, **peers()})
    peer = max(peers(), key=lambda name: results[name]["mean"])
    best = results[peer]["mean"]
    quality, hybrid = results["quality"], results["hybrid"]
    speed = round(hybrid["pages a second"] / results[peer]["pages a second"], 2)
    passed = {
        "quality": quality["mean"] >= best,
        "hybrid": hybrid["mean"] >= best - MAX_HYBRID_LOSS and speed >= MIN_HYBRID_SPEED,
    }
    print(table(results, titles))
    print(f"best peer: {peer}, {best}; hybrid's rate is {speed} times its rate")
    for name, met in passed.items():
        print(f"{name}: {'met' if met else 'MISSED'}")
    counts = {title: len(pages) for title, pages in sets.items()}
    machine = {"machine": platform.processor() or platform.machine(), "python": platform.python_version()}
    head = {
        "benchmark": "extraction",
        "half": arguments.half,
        "pages": counts,
        "parts": list(PARTS),
        "best peer": peer,
        "speed": speed,
    }
    print(json.dumps({**head, **machine, "results": results, "passed": passed}))
    sys.exit(0 if all(passed.values()) else 1)


if __name__ == "__main__":
    main()
