"""The languages that are identified, which of them count as one, and the language that a place declares.

A declared language is the one that a document's path or URL names: ``react-de.jsonl.gz``, ``docs/fr/index.md``,
``https://host/ja/page``.
"""

import re

from altiplano.corpus.annotations.scripts import primary

FIRST = [
    "ace", "af", "am", "an", "ar", "as", "az", "ba", "bcl", "be", "bg", "bn", "br", "bs", "ca", "crh", "cs", "cy",
    "da", "de", "el", "en", "eo", "es", "et", "eu", "ext", "fa", "fi", "fo", "fr", "fuv", "fy", "ga", "gcf", "gcr",
    "gd", "gl", "gn", "gu", "guw", "ha", "he", "hi", "hr", "ht", "hu", "hy", "id", "ig", "is", "it", "ja", "jv",
    "ka", "kab", "ki", "kk", "km", "kn", "ko", "ku", "ky", "la", "lb", "lg", "lij", "ln", "lo", "lt", "ltg", "lv",
    "mg", "mk", "ml", "mn", "mr", "ms", "mt", "my", "ne", "nl", "nn", "no", "nso", "oc", "om", "or", "pa", "pcm",
    "pl", "ps", "pt", "qu", "ro", "ru", "rw", "sa", "se", "si", "sk", "sl", "sn", "so", "sq", "sr", "st", "sv", "sw",
    "ta", "te", "tg", "th", "tk", "tl", "tr", "tt", "ug", "uk", "ur", "uz", "vec", "vi", "vo", "wa", "xh", "yo",
    "zh", "zu",
]  # fmt: skip
"""Languages of the first identifier, py3langid's (ISO 639-1, or -3 where there is none)."""

SECOND = ["bo", "ceb", "dv", "ilo", "nds", "pnb", "sah", "sd", "yi"]
"""Languages that the second, fastText's lid.176, names where it is sure, and the first does not know."""

LANGUAGES = sorted({*FIRST, *SECOND} - {"pnb"})

LARGER = {
    "nb": "no", "yue": "zh", "wuu": "zh", "arz": "ar", "ary": "ar", "sh": "sr", "ckb": "ku", "sdh": "ku", "uzs": "uz",
    "pnb": "pa", "azb": "az", "als": "de", "gom": "mr", "gug": "gn", "kik": "ki", "grc": "el", "hbo": "he", "dz": "bo",
}  # fmt: skip
"""Varieties that count as a larger language (mostly by ISO 639-3's macrolanguages) or as its present form."""

NEAR = {"hr": "bs", "sr": "bs", "ms": "id", "nn": "no"}
"""Languages so near each other that the identifiers do not part them reliably: one for another is no contradiction, and
the probability is that of all of them."""

NO_LANGUAGE = ("und", "zxx")
"""A language that is not known; no language at all (numbers, markup, identifiers)."""

DECLARED = sorted({*LANGUAGES} - {"an", "as", "ext", "se", "st"})
"""Without those that are words or abbreviations in file names more often than languages."""


def larger(code: str) -> str:
    return LARGER.get(code, code)


def family(code: str) -> str:
    """One name for languages that are near each other, in any script."""
    code = primary(code)
    return NEAR.get(code, code)


def differs(language: str, second: str) -> bool:
    """Whether the second identifier's language contradicts the first's."""
    return second != "und" and family(second) != family(language)


TOKEN = re.compile(rf"(?<![A-Za-z0-9])({'|'.join(DECLARED)})(?:[-_](?:[A-Za-z]{{4}}|[A-Za-z]{{2}}))?(?=[./_-]|$)")


def declared_language(place: str, url: str) -> str:
    """ISO 639, without a script; empty when neither names one. The file's name counts before its folders, a path before
    a URL.

    Only a hint: "it" or "no" may be words. ``audit/examples.py`` trusts it where a collection has documents in it.
    """
    for where in (place.split("#", maxsplit=1)[0], re.sub(r"^[a-z]+://[^/]*|[?#].*", "", url)):
        if found := TOKEN.findall(where):
            return str(found[-1])
    return ""
