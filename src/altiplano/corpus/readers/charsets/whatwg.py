"""Character sets by the WHATWG Encoding standard: what web pages mean by a label, which is not Python's codec of it.

By the standard ``iso-8859-1`` and ``ascii`` are windows-1252, ``gb2312`` is gb18030, ``shift_jis`` is windows-31j, and
so on. Resiliparse knows the labels; what differs between the standard's decoders and Python's codecs is here. The
standard refuses some sets for reasons of a browser's safety (``hz-gb-2312``, ``iso-2022-kr``); their text is read.
"""

import codecs
import functools
import re

from altiplano.optional_imports import extra

CODECS = {"iso8859-11": "cp874", "gbk": "gb18030", "big5": "big5hkscs", "euc_kr": "cp949", "shift_jis": "cp932"}
"""Codecs with the characters that the standard adds to the sets that Resiliparse names."""

MORE_LABELS = {
    "x-mac-cyrillic": "mac-cyrillic", "x-mac-ukrainian": "mac-cyrillic", "x-user-defined": "cp1252",
    "hz-gb-2312": "hz", "hz": "hz", "iso-2022-kr": "iso2022_kr", "csiso2022kr": "iso2022_kr", "utf-32": "utf-32",
    "utf-32le": "utf-32-le", "utf-32be": "utf-32-be", "cp949": "cp949", "uhc": "cp949", "cp936": "gb18030",
    "cp950": "big5hkscs", "big5-hkscs": "big5hkscs", "macroman": "mac-roman", "maccyrillic": "mac-cyrillic",
}  # fmt: skip
"""Labels of the standard that Resiliparse lacks, and some that only other programs write. A page that says
``x-user-defined`` is windows-1252 by the standard of HTML."""

DOS = re.compile(r"(?:cp|ibm)-?(\d{3})")
"""Sets of DOS, which the standard lacks but for ``ibm866``."""

DIFFERENT = {
    "cp1255": {0xCA: "\u05ba"},
    "koi8-u": {0xAE: "\u045e", 0xBE: "\u040e"},
}
"""Bytes that the standard reads differently from Python."""

BIG5 = {
    b"\xa3\xe1": "\u20ac", b"\xc6\xcf": "\u5ef4", b"\xc6\xd3": "\u65e0", b"\xc6\xd5": "\u7676",
    b"\xc6\xd7": "\u96b6", b"\xc6\xde": "\u3003", b"\xc6\xdf": "\u4edd",
}  # fmt: skip
"""Characters of the standard's Big5 that Python's lacks."""

ESCAPE = re.compile(rb"\x1b(\([BJI]|\$[@B]|\$\(D)")
"""The escape sequences of ISO-2022-JP."""

JIS_PAIR = str.maketrans({"\u301c": "\uff5e", "\u2016": "\u2225", "\u2212": "\uff0d", "\u00a2": "\uffe0",
                          "\u00a3": "\uffe1", "\u00ac": "\uffe2"})  # fmt: skip
"""Characters of JIS X 0208 for which the standard follows windows-31j, and Python does not."""


@functools.cache
def codec_of(label: str) -> str:
    """The Python codec nearest to what the standard means by a label; empty for a label that nobody knows."""
    label = label.strip(" \t\n\f\r\"'").lower()
    if label in MORE_LABELS:
        return MORE_LABELS[label]
    name = extra("resiliparse.parse.encoding").map_encoding_to_html5(label, False) if label.isascii() else None
    if name is None and "_" in label:
        return codec_of(label.replace("_", "-"))
    if name is None and (match := DOS.fullmatch(label)):
        name = f"cp{match[1]}"
    try:
        return CODECS.get(name, codecs.lookup(name).name) if name else ""
    except LookupError:
        return ""


def decode_as(data: bytes, codec: str) -> str:
    """The text by the standard's decoder, with U+FFFD for what it cannot read. ``codec`` is one of ``codec_of``."""
    if codec == "iso2022_jp":
        return _iso_2022_jp(data)
    if codec == "euc_jp":
        return data.decode(codec, "altiplano-euc-jp").translate(JIS_PAIR)
    if codec == "big5hkscs":
        return data.decode(codec, "altiplano-big5")
    if codec == "gb18030" and b"\x80" in data:
        return data.decode(codec, "altiplano-euro")
    if table := _table(codec):
        return codecs.charmap_decode(data, "strict", table)[0]
    return data.decode(codec, "replace")


@functools.cache
def _table(codec: str) -> str:
    """The 256 characters of a set of single bytes; empty for others. By the standard the holes of windows-125x between
    0x80 and 0x9F are control characters."""
    if not re.fullmatch(r"cp(?:125\d|874|[4-8]\d\d)|iso8859-\d+|koi8-[ru]|mac-?\w+", codec):
        return ""
    different = DIFFERENT.get(codec, {})
    return "".join(different.get(byte) or _character(byte, codec) for byte in range(256))


def _character(byte: int, codec: str) -> str:
    found = bytes([byte]).decode(codec, "replace")
    return chr(byte) if found == "\ufffd" and 0x80 <= byte <= 0x9F else found


def _iso_2022_jp(data: bytes) -> str:
    """Each stretch after an escape sequence is in one set, until the next one or, in damaged text, the line's end."""
    pieces = ESCAPE.split(data)
    parts = [pieces[0].decode("ascii", "replace")]
    for mode, piece in zip(pieces[1::2], pieces[2::2], strict=True):
        inside, line_end, rest = piece.partition(b"\n")
        if mode in (b"$B", b"$@", b"$(D"):
            high = bytes(byte | 0x80 if byte > 0x20 else byte for byte in inside)
            if mode == b"$(D":
                high = b"".join(b"\x8f" + high[at : at + 2] for at in range(0, len(high), 2))
            text = decode_as(high, "euc_jp")
        elif mode == b"(I":
            text = bytes(byte | 0x80 if byte > 0x20 else byte for byte in inside).decode("cp932", "replace")
        else:
            text = inside.decode("ascii", "replace")
            text = text.replace("\\", "\u00a5").replace("~", "\u203e") if mode == b"(J" else text
        parts += [text, (line_end + rest).decode("ascii", "replace")]
    return "".join(parts)


def _euc_jp_error(error: UnicodeError) -> tuple[str, int]:
    """Characters that vendors added to JIS X 0208 (① ㈱ 髙): windows-31j has them under the same row and cell."""
    assert isinstance(error, UnicodeDecodeError)
    first, second = (*error.object[error.start : error.start + 2], 0, 0)[:2]
    if 0xA1 <= first <= 0xFE and 0xA1 <= second <= 0xFE:
        row, cell = first - 0xA1, second - 0xA1
        lead = row // 2 + (0x81 if row < 62 else 0xC1)
        trail = cell + 0x9F if row % 2 else cell + (0x40 if cell < 63 else 0x41)
        found = bytes((lead, trail)).decode("cp932", "replace")
        if len(found) == 1 and found != "\ufffd":
            return found, error.start + 2
    return "\ufffd", error.start + 1


def _big5_error(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    found = BIG5.get(error.object[error.start : error.start + 2])
    return (found, error.start + 2) if found else ("\ufffd", error.start + 1)


def _euro_error(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    return "\u20ac" if error.object[error.start] == 0x80 else "\ufffd", error.start + 1


def _cp1252_error(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    return decode_as(error.object[error.start : error.start + 1], "cp1252"), error.start + 1


codecs.register_error("altiplano-big5", _big5_error)
codecs.register_error("altiplano-cp1252", _cp1252_error)
codecs.register_error("altiplano-euc-jp", _euc_jp_error)
codecs.register_error("altiplano-euro", _euro_error)
