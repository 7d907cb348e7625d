"""Scripts of text, those that languages are written in, and letters that are none of a language's.

A language tag names a script only where it is not the usual one (CLDR's likely subtags): ``sr`` is Serbian in Cyrillic,
``sr-Latn`` in Latin; ``zh`` is in simplified, ``zh-Hant`` in traditional characters.
"""

import functools
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

BLOCKS = [
    (0x0000, "Latn"), (0x0370, "Grek"), (0x0400, "Cyrl"), (0x0530, "Armn"), (0x0590, "Hebr"), (0x0600, "Arab"),
    (0x0700, "Syrc"), (0x0750, "Arab"), (0x0780, "Thaa"), (0x07C0, "Zyyy"), (0x0860, "Syrc"), (0x0870, "Arab"),
    (0x0900, "Deva"), (0x0980, "Beng"), (0x0A00, "Guru"), (0x0A80, "Gujr"), (0x0B00, "Orya"), (0x0B80, "Taml"),
    (0x0C00, "Telu"), (0x0C80, "Knda"), (0x0D00, "Mlym"), (0x0D80, "Sinh"), (0x0E00, "Thai"), (0x0E80, "Laoo"),
    (0x0F00, "Tibt"), (0x1000, "Mymr"), (0x10A0, "Geor"), (0x1100, "Hang"), (0x1200, "Ethi"), (0x13A0, "Zyyy"),
    (0x1780, "Khmr"), (0x1800, "Mong"), (0x18B0, "Zyyy"), (0x1C80, "Cyrl"), (0x1C90, "Geor"), (0x1CC0, "Zyyy"),
    (0x1D00, "Latn"), (0x1D80, "Latn"), (0x1DC0, "Zyyy"), (0x1E00, "Latn"), (0x1F00, "Grek"), (0x2000, "Zyyy"),
    (0x2C60, "Latn"), (0x2C80, "Zyyy"), (0x2D00, "Geor"), (0x2D30, "Zyyy"), (0x2D80, "Ethi"), (0x2DE0, "Cyrl"),
    (0x2E00, "Zyyy"), (0x2E80, "Hani"), (0x3000, "Zyyy"), (0x3040, "Jpan"), (0x3100, "Zyyy"), (0x3130, "Hang"),
    (0x3190, "Zyyy"), (0x31F0, "Jpan"), (0x3200, "Zyyy"), (0x3400, "Hani"), (0x4DC0, "Zyyy"), (0x4E00, "Hani"),
    (0xA000, "Zyyy"), (0xA640, "Cyrl"), (0xA6A0, "Zyyy"), (0xA720, "Latn"), (0xA800, "Zyyy"), (0xA8E0, "Deva"),
    (0xA900, "Zyyy"), (0xA960, "Hang"), (0xA980, "Zyyy"), (0xAB00, "Ethi"), (0xAB30, "Zyyy"), (0xAC00, "Hang"),
    (0xD7B0, "Zyyy"), (0xF900, "Hani"), (0xFB00, "Latn"), (0xFB13, "Armn"), (0xFB1D, "Hebr"), (0xFB50, "Arab"),
    (0xFE00, "Zyyy"), (0xFE70, "Arab"), (0xFF00, "Zyyy"), (0xFF21, "Latn"), (0xFF5B, "Zyyy"), (0xFF66, "Jpan"),
    (0xFFA0, "Zyyy"), (0x20000, "Hani"), (0x32000, "Zyyy"),
]  # fmt: skip
"""First character of each range and its script (ISO 15924; ``Zyyy``: one that no language here is written in)."""

NAMES = sorted({name for _, name in BLOCKS})
LAST = BLOCKS[-1][0]
SYLLABLE = {"Hani": 3, "Jpan": 3, "Hang": 3}

ENOUGH = 0.2
"""Share of its letters from which a text is in a script: pages in others than Latin have much Latin in them."""

USUAL = {
    language: script
    for script, languages in {
        "Cyrl": "ba be bg kk ky mk mn ru sah sr tg tt uk",
        "Arab": "ar fa ps sd ug ur",
        "Deva": "hi mr ne sa",
        "Beng": "as bn",
        "Hebr": "he yi",
        "Ethi": "am",
        "Tibt": "bo",
        "Grek": "el", "Armn": "hy", "Geor": "ka", "Guru": "pa", "Gujr": "gu", "Orya": "or", "Taml": "ta",
        "Telu": "te", "Knda": "kn", "Mlym": "ml", "Sinh": "si", "Thai": "th", "Laoo": "lo", "Mymr": "my",
        "Khmr": "km", "Thaa": "dv", "Jpan": "ja", "Hang": "ko", "Hani": "zh",
    }.items()
    for language in languages.split()
}  # fmt: skip
"""Script of a language; Latin where it is not here."""

ALSO = {
    ("sr", "Latn"), ("az", "Cyrl"), ("uz", "Cyrl"), ("ug", "Latn"), ("kk", "Latn"), ("tk", "Cyrl"), ("ku", "Arab"),
    ("pa", "Arab"), ("ja", "Hani"), ("ko", "Hani"),
}  # fmt: skip
"""Other scripts that a language is accepted in."""

WITHIN = {("ja", "Hani"), ("ko", "Hani")}
"""Scripts that are part of the language's own."""

CYRILLIC = {
    "ru": "", "bg": "", "uk": "іїєґ", "be": "іў", "mk": "ѓѕјљњќџѐѝ", "sr": "ђјљњћџ", "kk": "әғқңөұүһі", "ky": "ңөү",
    "mn": "өүєї", "tt": "әҗңөүһ", "ba": "ғҙҡңҫөүһә", "tg": "ғӣқӯҳҷ", "uz": "ўқғҳ", "tk": "җңөүә", "az": "ғҹҝәөүһј",
    "sah": "ҕҥөүһ",
}  # fmt: skip
"""Letters beside the Russian alphabet's."""

FOREIGN_LETTERS = 0.012
"""Share of letters that a language does not have from which the text is not in it: more than names bring."""


def code_points(text: str) -> NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)


def script_shares(codes: NDArray[np.uint32]) -> dict[str, float]:
    """Share of the letters in each script; an ideograph, kana or Hangul syllable counts as three. Han beside a tenth as
    many kana are ``Jpan``, too."""
    letters = codes[_letters(codes)]
    counts = np.bincount(_table()[np.minimum(letters, LAST)], minlength=len(NAMES)).tolist()
    found = {name: count * SYLLABLE.get(name, 1) for name, count in zip(NAMES, counts, strict=True) if count}
    if found.get("Jpan", 0) > 0.1 * found.get("Hani", 0):
        found["Jpan"] += found.pop("Hani", 0)
    total = sum(found.values())
    return {name: count / total for name, count in found.items()}


def _letters(codes: NDArray[np.uint32]) -> NDArray[np.bool_]:
    """No ASCII or Latin-1 signs, digits or spaces; good enough elsewhere."""
    lower = codes | 0x20
    return ((lower >= 0x61) & (lower <= 0x7A)) | ((codes >= 0xC0) & (lower != 0xF7))


@functools.cache
def _table() -> NDArray[np.uint8]:
    """The number of each character's script in ``NAMES``."""
    table = np.empty(LAST + 1, np.uint8)
    for (start, name), (end, _) in zip(BLOCKS, [*BLOCKS[1:], (LAST + 1, "")], strict=True):
        table[start:end] = NAMES.index(name)
    return table


def script_of(language: str, shares: dict[str, float]) -> str:
    """The script of a text in the language; empty for one that the language is not accepted in."""
    accepted = [USUAL.get(language, "Latn"), *(script for name, script in ALSO if name == language)]
    script = max(accepted, key=lambda script: shares.get(script, 0.0))
    return script if shares.get(script, 0.0) >= ENOUGH else ""


def tag(language: str, script: str, text: str) -> str:
    """The language with its script where that is not the usual one."""
    if language == "zh" and is_traditional(text):
        return "zh-Hant"
    return language if script == USUAL.get(language, "Latn") or (language, script) in WITHIN else f"{language}-{script}"


def primary(code: str) -> str:
    """``sr-Latn`` → ``sr``."""
    return code.partition("-")[0]


def is_traditional(text: str) -> bool:
    """More characters of Big5 that GB 2312 lacks than the other way about."""
    big5, gb2312 = _chinese()
    return len(big5.findall(text)) > len(gb2312.findall(text))


@functools.cache
def _chinese() -> tuple[Any, Any]:
    def has(character: str, charset: str) -> bool:
        return bool(character.encode(charset, "ignore"))

    ideographs = [chr(code) for code in range(0x4E00, 0x9FA6)]
    big5 = "".join(c for c in ideographs if has(c, "big5") and not has(c, "gb2312"))
    gb2312 = "".join(c for c in ideographs if has(c, "gb2312") and not has(c, "big5"))
    return re.compile(f"[{big5}]"), re.compile(f"[{gb2312}]")


def has_foreign_letters(language: str, script: str, codes: NDArray[np.uint32]) -> bool:
    """Whether more than ``FOREIGN_LETTERS`` of the letters are none of the language's, where its letters are known."""
    found = _others(language, script)
    if found is None:
        return False
    first, others = found
    own = codes[(codes >= first) & (codes < first + len(others))]
    return bool(len(own)) and float(others[own - first].mean()) > FOREIGN_LETTERS


@functools.cache
def _others(language: str, script: str) -> tuple[int, NDArray[np.bool_]] | None:
    """First character of a block, and of each character in it whether the language does not have it."""
    if script == "Cyrl" and language in CYRILLIC:
        letters = "абвгдежзийклмнопрстуфхцчшщъыьэюяё" + CYRILLIC[language]
        known = {ord(letter) for letter in letters + letters.upper()}
        return 0x0400, np.array([code not in known for code in range(0x0400, 0x0530)])
    if script == "Mymr":  # Mon, Karen, Shan and others
        added = {0x1022, 0x1028, 0x1033, 0x1034, 0x1035, *range(0x1050, 0x10A0)}
        return 0x1000, np.array([code in added for code in range(0x1000, 0x10A0)])
    if script == "Ethi":  # Tigrinya's qh, and its a and o, which Amharic hardly writes
        added = {*range(0x1250, 0x1260), 0x12A3, 0x12A6}
        return 0x1200, np.array([code in added for code in range(0x1200, 0x1380)])
    return None
