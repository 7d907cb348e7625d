"""Bytes to text: a byte order mark first, then UTF-8, then what is declared, then a guess."""

import re
import unicodedata

from altiplano.corpus.readers.charsets.charset_guess import Guess, guess
from altiplano.corpus.readers.charsets.meta_tags import meta_tags
from altiplano.corpus.readers.charsets.whatwg import codec_of, decode_as

BYTE_ORDER_MARKS = (
    (b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe\0\0", "utf-32"), (b"\0\0\xfe\xff", "utf-32"), (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)  # fmt: skip
STATEFUL = ("iso2022_jp", "hz", "iso2022_kr")
"""Sets of ASCII bytes only, which are valid UTF-8."""

ISO_2022_JP = re.compile(rb"\x1b\$[@B][!-~]")
MOSTLY = 4
"""UTF-8 has this many whole characters beyond ASCII for each broken byte; other sets hardly ever look so."""

SEQUENCE = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
WRONG_SHARE = 0.02
"""Share of characters beyond ASCII that a declared set cannot read, above which it is not believed."""

NO_LATIN = re.compile(rb"[\xa1-\xff]{5,}")
NO_LATIN_SHARE, NO_LATIN_BYTES = 0.5, 16
"""Words in Latin letters hardly ever have five accented ones in a row; Cyrillic, Greek or Chinese read as Latin-1 have
nothing else. Above this share of the bytes beyond ASCII, and so many of them, a declared Latin-1 is not believed: many
servers say so of every page."""

ASCII = ("ascii", "us-ascii", "ansi_x3.4-1968", "iso646-us")

CONTENT_TYPE = re.compile(r"charset\s*+=\s*+[\"']?([a-zA-Z0-9_:.-]+)", re.IGNORECASE)
XML_DECLARATION = re.compile(
    rb"^(?:\xef\xbb\xbf)?\s{0,20}<\?xml\s[^>]{0,200}?encoding\s{0,9}=\s{0,9}[\"']([A-Za-z0-9._-]+)"
)
INPUTENC = re.compile(
    rb"\\(?:(?:usepackage|RequirePackage)\s*+\[([^\]]{1,200})\]\s*+\{inputenc\}|inputencoding\s*+\{([^}]{1,40})\})"
)
LATEX_NAMES = {
    "ansinew": "windows-1252", "applemac": "macintosh", "macce": "mac-latin2", "utf8x": "utf-8",
    "latin9": "iso-8859-15", "latin10": "iso-8859-16", "koi8-ru": "koi8-u", "maccyr": "x-mac-cyrillic",
}  # fmt: skip
CODING = re.compile(rb"coding[:=]\s{0,9}([-\w.]+)")
HEAD = 4096
BEYOND_ASCII = bytes(range(128, 256))
NO_TEXT = ("Cc", "Cn", "Co", "Cs")
"""Categories of control characters, of what is no character, and of private use."""

PREAMBLE = 64 * 2**10


def decode(data: bytes, declared: str | None = None) -> tuple[str, str]:
    """The text, and how it was read: empty for UTF-8 or a declared charset, otherwise the repair made."""
    for mark, codec in BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return data.decode(codec, "replace"), ""
    codec = codec_of(declared) if declared else ""
    if wide := wide_codec(data):
        return data.decode(wide, "replace"), "" if codec.startswith("utf-") and codec != "utf-8" else _read_as(wide)
    if codec in STATEFUL and (b"\x1b" in data or b"~{" in data):
        return decode_as(data, codec), ""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        pass
    else:
        if "\x1b" in text and ISO_2022_JP.search(data):
            return decode_as(data, "iso2022_jp"), _read_as("iso2022_jp")
        return text, ""
    whole = sum(1 for _ in SEQUENCE.finditer(data))
    text = data.decode("utf-8", "replace")
    if whole >= MOSTLY * text.count("\ufffd"):  # another charset would garble the rest
        return text, "not quite UTF-8, broken bytes replaced"
    guessed = guess(data) if codec in ("", "utf-8", "cp1252") else None
    if codec and codec != "utf-8" and not (guessed and _is_not_latin(data, declared or "", guessed)):
        text = decode_as(data, codec)
        if text.count("\ufffd") <= WRONG_SHARE * sum(character > "\x7f" for character in text):
            return text, ""
    codec = (guessed or guess(data)).codec
    if codec == "cp1252" and whole:  # in which UTF-8's sequences are no words
        return data.decode("utf-8", "altiplano-cp1252"), "UTF-8 mixed with cp1252"
    return decode_as(data, codec), _read_as(codec)


def _is_not_latin(data: bytes, label: str, guessed: Guess) -> bool:
    if label.strip().lower() in ASCII:  # which has none of these bytes
        return True
    beyond = len(data) - len(data.translate(None, BEYOND_ASCII))
    if guessed.contradicts_latin and beyond >= NO_LATIN_BYTES:
        return True
    return sum(len(run) for run in NO_LATIN.findall(data)) > max(NO_LATIN_BYTES, NO_LATIN_SHARE * beyond)


def _read_as(codec: str) -> str:
    return f"not UTF-8, read as {codec}"


def wide_codec(data: bytes) -> str:
    """UTF-16 or UTF-32 without a mark, told by where its zero bytes are; empty for anything else."""
    sample = data[:HEAD]
    if b"\0" not in sample or len(sample) < 8:
        return ""
    zeros = [sample[at::4].count(0) / len(sample[at::4]) for at in range(4)]
    if min(zeros[2], zeros[3]) > 0.95 and zeros[0] < 0.1:
        found = "utf-32-le"
    elif min(zeros[0], zeros[1]) > 0.95 and zeros[3] < 0.1:
        found = "utf-32-be"
    elif zeros[0] + zeros[2] != zeros[1] + zeros[3]:
        found = "utf-16-le" if zeros[1] + zeros[3] > zeros[0] + zeros[2] else "utf-16-be"
    else:
        return ""
    text = sample[: len(sample) // 4 * 4].decode(found, "replace")
    odd = sum(unicodedata.category(character) in NO_TEXT and character not in "\t\n\r\f" for character in text)
    return found if odd <= len(text) // 100 and len(data) % 2 == 0 else ""


def is_binary(data: bytes) -> bool:
    """Whether there are zero bytes that are not those of UTF-16 or UTF-32."""
    marks = tuple(mark for mark, _ in BYTE_ORDER_MARKS)
    return b"\0" in data[:HEAD] and not data.startswith(marks) and not wide_codec(data)


def html_charset(content_type: str, page: bytes) -> str | None:
    """As browsers find it: by the header, by the first ``<meta>`` that is in force, by an XML declaration."""
    if match := CONTENT_TYPE.search(content_type):
        return match[1]
    for tag in meta_tags(page[:HEAD]):
        label = tag.get("charset", "")
        if not label and tag.get("http-equiv", "").lower() == "content-type":
            match = CONTENT_TYPE.search(tag.get("content", ""))
            label = match[1] if match else ""
        if label:
            return "utf-8" if codec_of(label).startswith(("utf-16", "utf-32")) else label
    return xml_encoding(page)


def xml_encoding(data: bytes) -> str | None:
    """What ``<?xml encoding="…"?>`` says."""
    match = XML_DECLARATION.match(data[:HEAD])
    return match[1].decode("ascii") if match else None


def inputenc(data: bytes) -> str | None:
    r"""What ``\usepackage[latin1]{inputenc}`` of a LaTeX file says, or an editor's line at its beginning."""
    for line in data[:PREAMBLE].split(b"\n"):
        if match := INPUTENC.search(line.partition(b"%")[0]):
            name = (match[1] or match[2]).decode("ascii", "replace").rpartition(",")[2].strip().lower()
            return LATEX_NAMES.get(name, name)
    return coding_line(data)


def coding_line(data: bytes) -> str | None:
    """What ``-*- coding: latin-1 -*-`` in the first two lines of a source file says."""
    for line in data[:HEAD].split(b"\n", 2)[:2]:
        if line.lstrip()[:1] in (b"#", b"%", b";", b"/", b"-", b"*") and (match := CODING.search(line)):
            return match[1].decode("ascii")
    return None
