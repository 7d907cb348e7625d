"""Which language a text is in, by two identifiers, and how much of it is English although the rest is not.

The first identifier is py3langid's naive Bayes over byte n-grams, which knows 139 languages and a class of what is no
language. fastText's lid.176 is the second: it confirms or contradicts, and names a few languages that the first does
not know. Neither needs a download.

A text in a language that neither knows is ``und``: its n-grams are rarer than those of any text in the likeliest
language, or its script or letters are none of that language's.

A declared language is the one that a document's path or URL names: ``react-de.jsonl.gz``, ``docs/fr/index.md``,
``https://host/ja/page``.
"""

import re
import unicodedata
from typing import NamedTuple

import numpy as np

from altiplano.corpus.annotations import language_models as models
from altiplano.corpus.annotations import scripts
from altiplano.corpus.annotations.respelling import RESPELT, respelt
from altiplano.corpus.annotations.scripts import primary

FIRST = """
ace af am an ar as az ba bcl be bg bn br bs ca crh cs cy da de el en eo es et eu ext fa fi fo fr fuv fy ga gcf gcr gd gl
gn gu guw ha he hi hr ht hu hy id ig is it ja jv ka kab ki kk km kn ko ku ky la lb lg lij ln lo lt ltg lv mg mk ml mn mr
ms mt my ne nl nn no nso oc om or pa pcm pl ps pt qu ro ru rw sa se si sk sl sn so sq sr st sv sw ta te tg th tk tl tr
tt ug uk ur uz vec vi vo wa xh yo zh zu
""".split()
"""Languages of the first identifier."""

SECOND = "bo ceb cv dv hsb ilo nds pnb rm sah sd war yi".split()
"""Languages that the second names and the first does not know, if it is sure enough: those that it tells well."""

NOT_SECOND = (
    "ace bcl crh ext fo fuv gcf gcr guw ha ig kab ki lg lij ln ltg ny nso om pcm rw se sn st xh zu".split()
)
"""Languages of the first identifier that the second does not know, so that it cannot contradict."""

LANGUAGES = sorted({*FIRST, *SECOND} - {"pnb"})

MACRO = {"nb": "no", "yue": "zh", "wuu": "zh", "arz": "ar", "ary": "ar", "sh": "sr", "ckb": "ku", "sdh": "ku",
         "uzs": "uz", "pnb": "pa", "azb": "az", "als": "de", "gom": "mr", "gug": "gn", "kik": "ki", "grc": "el",
         "hbo": "he", "dz": "bo"}  # fmt: skip
"""Varieties that count as a larger language (mostly by ISO 639-3 macrolanguages), and older forms of a language."""

NEAR = {"hr": "bs", "sr": "bs", "ms": "id", "nn": "no"}
"""Languages so near each other that the identifiers do not part them reliably: one for another is no contradiction, and
the probability is that of all of them."""

NO_LANGUAGE = ("und", "zxx")
"""A language that is not known; no language at all (numbers, markup, identifiers)."""

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

FIT = 0.5
"""Above this a text is not in the first identifier's language, see ``_fits``."""

FIT_OF = {
    **dict.fromkeys(
        "ace an as ba bcl crh ext fo fuv gcf gcr guw ht jv kab lij ln ltg nso om oc pcm qu sa se tk vec vo wa".split(), 0.1
    ),
    "ne": 0.0, "fi": -0.5, "en": 0.0, "ky": -0.2, "kk": -0.2, "ru": 0.0, "it": 0.0, "es": 0.1, "nso": -0.45, "jv": 0.05,
    "hi": 0.3, "lg": 0.3, "ht": 0.3, "fuv": 0.3, "tk": 0.3, "bcl": 0.3, "ace": 0.6, "sn": 0.3, "xh": 0.3, "fo": 0.3, "crh": 0.3, "st": 0.4, "pcm": 0.4, "sk": 0.7, "so": 0.8, "uz": 0.9,
    "la": 1.0, "ga": 1.1, "mg": 1.1, "tr": 1.15, "ro": 1.2, "id": 1.2, "ms": 1.2, "eu": 1.6, "sr": 2.2, "yo": 2.3, "ur": 2.4,
}  # fmt: skip
"""Where it is another: less for languages that no other evidence confirms, more for those of which much is written
otherwise than in the model's texts (Yoruba without its tone marks)."""

NAMED = 0.6
"""Probability from which the second identifier is believed that names a language the first does not know."""

ASCII_WORDS = re.compile("[A-Za-z]+")
PART = 200

CLOSE = -0.3
"""Below this a text fits the first identifier's language too well to be in another."""

RESPELT_FIT = 0.0
TURKIC = ("az", "ba", "crh", "kk", "ky", "tk", "tr", "tt", "ug", "uz")

EKAVIAN = re.compile(
    r"\b(?:pre|posle|gde|negde|svagde|ovde|svet\w*|vreme\w*|deca|dece|deci|decu|reč\w*|ceo|cel[aeiou]\w*|deo|del(?:a|om|ovi\w*)"
    r"|uvek|lep[aeiou]|primer\w*|rešen\w*|uspeh\w*|potreb\w*|promen\w*|zahtev\w*|ocen\w*|nedelj\w*|sledeć\w*|mest[aou]\w*"
    r"|čovek\w*|sred\w*|mera\w*|bezbed\w*|vredn\w*|nameren\w*|odelj\w*|razume\w*|videti|hteti|živeti|želeti)\b",
    re.IGNORECASE,
)
IJEKAVIAN = re.compile(
    r"\b(?:prije|poslije|gdje|negdje|ovdje|svijet\w*|vrijeme\w*|djec[aeiou]\w*|riječ\w*|cijel\w*|dio|dijel\w*|uvijek|lijep\w*"
    r"|primjer\w*|rješen\w*|uspjeh\w*|promjen\w*|zahtjev\w*|ocjen\w*|nedjelj\w*|sljedeć\w*|mjest\w*|čovjek\w*|sredstv\w*"
    r"|mjera\w*|vrijedn\w*|namjeren\w*|odjelj\w*|razumije\w*|vidjeti|htjeti|živjeti|željeti|tijel\w*)\b",
    re.IGNORECASE,
)
"""Old Slavic *ě* became e in Serbian and (i)je in Croatian and Bosnian: frequent words that differ by it."""


class Language(NamedTuple):
    """``code`` is BCP 47: ISO 639-1 (or -3), with the script where it is not the usual one; ``und`` for a language that is
    not known, ``zxx`` for none. ``score`` is the probability, by the first identifier where it knows the language;
    ``second`` is the second's language, ``und`` for none and where it does not know ``code``."""

    code: str
    score: float
    second: str
    english: float
    """Share of the prose, in characters, in lines that are English rather than ``code``; 0 when that is English."""


def language_of(text: str) -> Language:
    """The language of the text without code and formulas; ``und`` when nothing is left."""
    prose = NOT_PROSE.sub(" ", text[:LOOKED_AT])
    sample = unicodedata.normalize("NFC", _windows(" ".join(prose.split())))
    codes = scripts.code_points(sample)
    shares = scripts.script_shares(codes)
    if not shares:
        return Language("und", 0.0, "und", 0.0)
    labels, values = models.second().predict(sample[:SECOND_WINDOW])
    label, sure = (labels[0].removeprefix("__label__"), float(values[0])) if labels else ("und", 0.0)
    second = MACRO.get(label, label)
    guess = _guess(sample)
    code, score, known = guess.language, guess.score, False
    if label in SECOND and second != code and sure >= NAMED and guess.misfit > CLOSE:
        code, score, known = second, sure, True
    script = scripts.script_of(code, shares)
    if script and not scripts.has_foreign_letters(code, script, codes):
        known = known or _fits(guess, second, sure) or _fits(_best_parts(sample, script, guess), second, sure)
        name = scripts.tag(code, script, sample) if known else ""
    else:
        name = ""
    if not name:
        name, score = _respelt(sample, max(shares, key=lambda script: shares[script]), code)
    if name == "hr" or name == "bs" or name == "sr-Latn":
        name = _serbian_or(name, sample)
    if code == "zxx":
        name = "zxx"
    if name and code in NOT_SECOND:
        second = "und"
    english = 0.0 if name in ("en", "", "zxx") else models.english_share(prose, guess.best)
    return Language(name or "und", round(score, 6), second, round(english, 6))


def differs(language: str, second: str) -> bool:
    """Whether the second identifier's language contradicts ``language``, which may name a script."""
    first = primary(language)
    return second not in ("und", first) and NEAR.get(second, second) != NEAR.get(first, first)


class _Guess(NamedTuple):
    language: str
    score: float
    best: int
    """The class of the first identifier."""
    misfit: float
    never: float


def _guess(sample: str) -> _Guess:
    """The first identifier's language, however badly the text fits it."""
    data = (sample.lower() if sample.isupper() else sample).encode("utf-8", "replace")
    found = models.features(data)
    scores = models.scores(found)
    names = models.first().codes
    best = int(scores.argmax())
    # the square root keeps the probability calibrated over lengths (as py3langid's own norm_probs)
    probability = np.exp((scores - scores[best]) / np.sqrt(len(data)))
    code = MACRO.get(names[best], names[best])
    group = NEAR.get(code, code)
    same = [i for i, other in enumerate(names) if NEAR.get(MACRO.get(other, other), MACRO.get(other, other)) == group]
    score = float(probability[same].sum() / probability.sum())
    return _Guess(code, score, best, *models.misfit(found, best))


def _fits(guess: _Guess, second: str, sure: float) -> bool:
    """Surprise, n-grams that the language never has, and what the second identifier says, weighed by logistic
    regression on texts of 69 languages and of 150 that neither identifier knows."""
    agreement = 0.8 * sure if second == guess.language else -0.5 * sure
    return guess.misfit + 2 * guess.never - agreement <= FIT_OF.get(guess.language, FIT)


def _serbian_or(name: str, sample: str) -> str:
    """Latin Serbian is in no identifier's texts to speak of, and taken for Croatian or Bosnian."""
    e, ije = len(EKAVIAN.findall(sample)), len(IJEKAVIAN.findall(sample))
    return "sr-Latn" if e > ije else "bs" if ije > e and name == "sr-Latn" else name


def _best_parts(sample: str, script: str, guess: _Guess) -> _Guess:
    """The guess by the quarter that fits best. A page of French has commands, names and English in it, and a page of
    Chinese Latin letters; a text in another language is that throughout."""
    if script != "Latn":
        sample = ASCII_WORDS.sub(" ", sample)
    parts = [sample[i : i + PART].encode("utf-8", "replace") for i in range(0, max(len(sample) - PART // 2, 1), PART)]
    fits = sorted(models.misfit(models.features(part), guess.best) for part in parts)
    return guess._replace(misfit=fits[len(fits) // 4][0], never=fits[len(fits) // 4][1])


def _respelt(sample: str, script: str, taken_for: str) -> tuple[str, float]:
    """A language in another script, and its probability. In its own, such a text is taken for a Turkic language."""
    for language in RESPELT.get(script, ()) if taken_for in TURKIC else ():
        guess = _guess(respelt(sample, language, script))
        if guess.language == language and guess.misfit <= RESPELT_FIT:
            return f"{language}-{script}", guess.score
    return "", 0.0


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
