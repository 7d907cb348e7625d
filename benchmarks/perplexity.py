"""Whether perplexity tells prose from boilerplate, and at what rate and size.

    python benchmarks/perplexity.py --corpus FOLDER

Per language with enough web pages, in five folds: a model is trained on the main text of four and scores, of the
pages of the fifth, the main text and what the page has besides it (navigation, notices, teasers). AUC is the chance
that a main text is the likelier of the two. Ends with one JSON line; exit status 1 when the AUC over all languages is
below 0.89.
"""

import argparse
import hashlib
import json
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import lxml.html
import numpy as np

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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True, help="folder with web/*.warc.gz")
    parser.add_argument("--order", type=int, default=3)
    arguments = parser.parse_args()
    result: dict[str, object] = {"benchmark": "perplexity", "order": arguments.order}
    wins = pairs = 0.0
    for language, pages in sorted(read(arguments.corpus).items()):
        if len(pages) < MIN_PAGES:
            continue
        fold = [hashlib.sha256(main.encode()).digest()[0] % FOLDS for main, _ in pages]
        goods, bads, training, scoring, words, scored = [], [], 0.0, 0.0, 0, 0
        own_wins = own_pairs = 0
        for left_out in range(FOLDS):
            train = [word_hashes(main) for (main, _), at in zip(pages, fold, strict=True) if at != left_out]
            prose = [word_hashes(main) for (main, _), at in zip(pages, fold, strict=True) if at == left_out]
            other = [word_hashes(rest) for (_, rest), at in zip(pages, fold, strict=True) if at == left_out and rest]
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
    auc = wins / pairs if pairs else 0.0
    print(json.dumps({**result, "auc": round(auc, 4), "demanded": DEMANDED}))
    sys.exit(0 if auc >= DEMANDED else 1)


def read(corpus: Path) -> dict[str, list[tuple[str, str]]]:
    """Per language ``(main text, the rest of the page)``; each main text once."""
    found: dict[str, list[tuple[str, str]]] = defaultdict(list)
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
            found[language_of(text).code].append((text, rest if len(rest) >= MIN_CHARACTERS else ""))
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
