"""Languages in a script that no identifier was trained on, respelt letter by letter in one that it was.

Azerbaijani's Cyrillic of 1958 to 1991, Turkmen's of 1940 to 1993, Uyghur's Latin (ULY, 2000) and Kazakh's (2021).
"""

import re

AZERBAIJANI = dict(
    zip(
        "абвгдеәжзиыјкҝлмноөпрстуүфхһчҹшғ",
        ["a", "b", "v", "q", "d", "e", "ə", "j", "z", "i", "ı", "y", "k", "g", "l", "m", "n", "o", "ö", "p", "r", "s",
         "t", "u", "ü", "f", "x", "h", "ç", "c", "ş", "ğ"],
        strict=True,
    )
)  # fmt: skip
TURKMEN = dict(
    zip(
        "абвгдеёжҗзийклмнңоөпрстуүфхцчшщыэәюяьъ",
        ["a", "b", "w", "g", "d", "e", "ýo", "ž", "j", "z", "i", "ý", "k", "l", "m", "n", "ň", "o", "ö", "p", "r", "s",
         "t", "u", "ü", "f", "h", "s", "ç", "ş", "ş", "y", "e", "ä", "ýu", "ýa", "", ""],
        strict=True,
    )
)  # fmt: skip
UYGHUR = {
    "ch": "چ", "gh": "غ", "ng": "ڭ", "sh": "ش", "zh": "ژ", "a": "ا", "b": "ب", "d": "د", "e": "ە", "ë": "ې", "é": "ې",
    "f": "ف", "g": "گ", "h": "ھ", "i": "ى", "j": "ج", "k": "ك", "l": "ل", "m": "م", "n": "ن", "o": "و", "ö": "ۆ",
    "p": "پ", "q": "ق", "r": "ر", "s": "س", "t": "ت", "u": "ۇ", "ü": "ۈ", "w": "ۋ", "x": "خ", "y": "ي", "z": "ز",
}  # fmt: skip
KAZAKH = {
    "a": "а", "ä": "ә", "b": "б", "d": "д", "e": "е", "f": "ф", "g": "г", "ğ": "ғ", "h": "х", "ı": "і", "i": "и",
    "j": "ж", "k": "к", "l": "л", "m": "м", "n": "н", "ñ": "ң", "o": "о", "ö": "ө", "p": "п", "q": "қ", "r": "р",
    "s": "с", "ş": "ш", "t": "т", "u": "у", "ū": "ұ", "ü": "ү", "v": "в", "y": "ы", "z": "з",
}  # fmt: skip

RESPELT = {"Cyrl": {"az": AZERBAIJANI, "tk": TURKMEN}, "Latn": {"ug": UYGHUR, "kk": KAZAKH}}
"""By the script that a text is in: languages, and their letters in the other script."""


MARKS: dict[str, list[tuple[str, ...]]] = {
    "az": [("ҝ", "ҹ", "ј"), ("ә",)], "tk": [("ә", "җ")], "ug": [("ö", "ü"), ("ë", "é", "gh")],
    "kk": [("ñ",), ("ş",), ("ı", "y")],
}  # fmt: skip
"""Sets of letters of which a text in the language has one each: together, other languages seldom have them."""

VOWEL = re.compile(r"\b(?=[اەېىوۆۇۈ])")


def candidates(text: str, script: str) -> list[str]:
    """Languages that the text in a script may be in, by its letters."""
    text = text.lower()
    return [
        language
        for language in RESPELT.get(script, ())
        if all(any(letter in text for letter in letters) for letters in MARKS[language])
    ]


def respelt(text: str, language: str, script: str) -> str:
    letters = RESPELT[script][language]
    text = text.lower()
    for pair in (pair for pair in letters if len(pair) > 1):
        text = text.replace(pair, letters[pair])
    text = text.translate({ord(letter): other for letter, other in letters.items() if len(letter) == 1})
    return VOWEL.sub("ئ", text) if language == "ug" else text  # no word begins with a vowel's letter
