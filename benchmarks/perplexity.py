"""Whether perplexity tells prose from boilerplate, and at what rate and size.

    python benchmarks/perplexity.py --corpus FOLDER

Per language with enough web pages, in five folds: a model is trained on the main text of four and scores, of the
pages of the fifth, the main text and what the page has besides it (navigation, notices, teasers). AUC is the chance
that a main text is the likelier of the two. ``--kinds`` adds a table: the same for each kind of junk and of other good
text (``page_kinds.py``), with the interval of 95 % that so few pages leave (the texts of one page count as one); a kind
of under 30 pages, or with an interval wider than 0.1 to either side, is too small to judge. Ends with one JSON line;
exit status 1 when the AUC over all languages is below 0.89.
"""

import argparse
import hashlib
import json
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import lxml.html
import numpy as np
import page_kinds

from altiplano.corpus.annotations.language import language_of
from altiplano.corpus.extraction.html.main_text import text_of_html
from altiplano.corpus.perplexity import model_file, ngram_model
from altiplano.corpus.readers.raw import RawDocument
from altiplano.corpus.readers.web_archives import warc
from altiplano.corpus.words import word_hashes

DEMANDED = 0.89
FOLDS = 5
MIN_PAGES = 60
MIN_CHARACTERS = 200
MIN_PAGES_OF_KIND, MAX_INTERVAL = 30, 0.1
Page = tuple[str, str, str]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True, help="folder with web/*.warc.gz")
    parser.add_argument("--order", type=int, default=3)
    parser.add_argument("--kinds", action="store_true", help="also by kind of text")
    arguments = parser.parse_args()
    result: dict[str, object] = {"benchmark": "perplexity", "order": arguments.order}
    wins = pairs = 0.0
    found = {language: pages for language, pages in sorted(read(arguments.corpus).items()) if len(pages) >= MIN_PAGES}
    for language, pages in found.items():
        fold = [hashlib.sha256(main.encode()).digest()[0] % FOLDS for main, _, _ in pages]
        goods, bads, training, scoring, words, scored = [], [], 0.0, 0.0, 0, 0
        own_wins = own_pairs = 0
        for left_out in range(FOLDS):
            train = [word_hashes(main) for (main, _, _), at in zip(pages, fold, strict=True) if at != left_out]
            prose = [word_hashes(main) for (main, _, _), at in zip(pages, fold, strict=True) if at == left_out]
            other = [word_hashes(rest) for (_, rest, _), at in zip(pages, fold, strict=True) if at == left_out and rest]
            begin = time.process_time()
            model = ngram_model.train(train, arguments.order)
            trained = time.process_time()
            good = ngram_model.perplexities(model, prose)
            training, scoring = training + trained - begin, scoring + time.process_time() - trained
            bad = ngram_model.perplexities(model, other)
            own_wins += int((good[:, None] < bad[None, :]).sum())
            own_pairs += len(good) * len(bad)
            words, scored = words + sum(map(len, train)), scored + sum(map(len, prose))
            goods.append(good)
            bads.append(bad)
        wins, pairs = wins + own_wins, pairs + own_pairs
        grams = sum(map(len, model.keys))
        result[language] = {
            "pages": len(pages),
            "auc": round(own_wins / own_pairs, 4),
            "median_main": round(float(np.median(np.concatenate(goods))), 1),
            "median_boilerplate": round(float(np.median(np.concatenate(bads))), 1),
            "train_words_per_second": round(words / training),
            "score_words_per_second": round(scored / scoring),
            "bytes_per_ngram": {
                name: round(size(model, name == "quantised") / grams, 1) for name in ("exact", "quantised")
            },
        }
        print(language, result[language])
    if arguments.kinds:
        result["kinds"] = kinds(found, arguments.corpus, arguments.order)
    auc = wins / pairs if pairs else 0.0
    print(json.dumps({**result, "auc": round(auc, 4), "demanded": DEMANDED}))
    sys.exit(0 if auc >= DEMANDED else 1)


def kinds(found: dict[str, list[Page]], corpus: Path, order: int) -> dict[str, dict[str, object]]:
    """Per kind: its pages, the median over them of perplexity in units of the articles' median, and AUC against
    articles of the same language. The model of each text was trained on nothing of its page."""
    others: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for kind, text in page_kinds.documents(corpus):
        others[language_of(text).code].append((kind, text))
    pages: dict[str, list[Scored]] = defaultdict(list)
    for language, own in found.items():
        sets = [pieces(*each) for each in own] + [[other] for other in others[language]]
        fold = [hashlib.sha256(texts[0][1].encode()).digest()[0] % FOLDS for texts in sets]
        for left_out in range(FOLDS):
            train = [each[0] for each, at in zip(own, fold, strict=False) if at != left_out]
            model = ngram_model.train([word_hashes(text) for text in train], order)
            main = [word_hashes(each[0]) for each, at in zip(own, fold, strict=False) if at == left_out]
            articles = np.sort(ngram_model.perplexities(model, main))
            for page in (page for page, at in zip(sets, fold, strict=True) if at == left_out):
                texts = [(kind, text) for kind, text in page if len(text) >= MIN_CHARACTERS]
                values = ngram_model.perplexities(model, [word_hashes(text) for _, text in texts])
                for kind in dict.fromkeys(kind for kind, _ in texts):
                    mine = values[[each == kind for each, _ in texts]]
                    chance = np.searchsorted(articles, mine) / len(articles)
                    pages[kind].append(
                        Scored(language, len(mine), float(np.median(mine) / np.median(articles)), float(chance.mean()))
                    )
    return {kind: summary(kind, pages[kind]) for kind in (*page_kinds.GOOD, *page_kinds.JUNK)}


class Scored(NamedTuple):
    """The texts of one kind in one page. ``ratio`` is over the articles' median, ``chance`` that an article is
    likelier."""

    language: str
    texts: int
    ratio: float
    chance: float


def summary(kind: str, pages: list[Scored]) -> dict[str, object]:
    chances = [page.chance for page in pages]
    wide = 1.96 * float(np.std(chances, ddof=1)) / len(pages) ** 0.5 if len(pages) > 1 else 1.0
    row = {
        "pages": len(pages),
        "texts": sum(page.texts for page in pages),
        "languages": sorted({page.language for page in pages}),
        "ratio": round(float(np.median([page.ratio for page in pages])), 2) if pages else None,
        "auc": round(float(np.mean(chances)), 3) if pages else None,
        "interval": round(wide, 3),
        "judged": len(pages) >= MIN_PAGES_OF_KIND and wide <= MAX_INTERVAL,
    }
    print(kind, row)
    return row


def pieces(main: str, _: str, html: str) -> list[tuple[str, str]]:
    return [
        ("articles (web)", main),
        *page_kinds.parts_of_text(main),
        *page_kinds.junk_of_page(html, main),
        *page_kinds.spoilt(main, len(main)),
    ]


def read(corpus: Path) -> dict[str, list[Page]]:
    """Per language ``(main text, the rest of the page, the page)``; each main text once."""
    found: dict[str, list[Page]] = defaultdict(list)
    seen = set()
    for path in sorted(corpus.glob("web/*.warc.gz")):
        for page in warc.read(path, path.name):
            if not isinstance(page, RawDocument):
                continue
            text = text_of_html(page.text)
            if len(text) < MIN_CHARACTERS or text in seen:
                continue
            seen.add(text)
            rest = boilerplate(page.text, text)
            found[language_of(text).code].append((text, rest if len(rest) >= MIN_CHARACTERS else "", page.text))
    return found


def boilerplate(html: str, text: str) -> str:
    """Lines of the page that its main text does not have; scripts and styles aside."""
    try:
        root = lxml.html.document_fromstring(html.encode("utf-8", "replace"))
    except (ValueError, lxml.etree.LxmlError):
        return ""
    for element in root.xpath("//script|//style|//noscript|//head"):
        element.drop_tree()
    squeezed = " ".join(text.split())
    pieces = (" ".join(piece.split()) for piece in root.itertext())
    return "\n".join(piece for piece in pieces if piece and piece not in squeezed)


def size(model: ngram_model.NgramModel, quantised: bool) -> int:
    with tempfile.TemporaryDirectory() as folder:
        model_file.save(model, Path(folder) / "model", quantised)
        return (Path(folder) / "model").stat().st_size


if __name__ == "__main__":
    main()
