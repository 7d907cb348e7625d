"""The counting loops behind ``text_statistics.py``, in Numba: one over characters and lines, one over word n-grams."""

import functools
import unicodedata

import numba
import numpy as np
from numpy.typing import NDArray

from altiplano.corpus.words import BASE, BMP, DIGIT, IDEOGRAPH, LETTER, SPACE, SYMBOL, kind_of, mix_one

LINE_COLUMNS = (
    "symbols", "hash_signs", "ellipses", "alphabetic_words", "lines_per_word", "repeated_lines",
    "repeated_line_count", "repeated_paragraphs", "repeated_paragraph_count", "bullet_lines", "ellipsis_lines",
    "punctuated_lines", "short_lines", "line_length", "longest_line", "alphanumeric", "sentences", "word_length",
)  # fmt: skip

TOP = (2, 3, 4)
DUPLICATE = (5, 6, 7, 8, 9, 10)
STRETCH = 8192
"""Words within which an n-gram that came before is a repetition. In a book or a long chapter of mathematics every other
phrase has come somewhere before; Gopher's limits were found on web pages."""

WORD_COLUMNS = (*(f"top_{n}grams" for n in TOP), *(f"duplicate_{n}grams" for n in DUPLICATE))

SHORT = 30
"""Width up to which a line is short (FineWeb); an ideograph is two wide."""

ENDS_SENTENCE = ".!?。！？｡؟۔।॥։።፧។၊။…‼⁇⁉"
CLOSES = "\"'”’»)]）」』】*_`"
"""May follow the mark that ends a sentence."""
PAUSES = ",;،؛、，；—–"
"""A line of verse or of a law may end with one: it is a unit of language, as a sentence is. Labels end in colons."""
BULLETS = "•‣◦▪▫■□●○⁃·-–—*"
ENDS, CLOSE, BULLET, PAUSE = 1, 2, 4, 8

NEWLINE, HASH, DOT, DOTS, TICK, TILDE, BAR = (np.uint32(ord(c)) for c in "\n#.…`~|")


@functools.cache
def marks() -> NDArray[np.uint8]:
    """Bit set of ENDS, CLOSE, BULLET and PAUSE for each character of the basic plane."""
    table = np.zeros(BMP, np.uint8)
    for characters, bit in ((ENDS_SENTENCE, ENDS), (CLOSES, CLOSE), (BULLETS, BULLET), (PAUSES, PAUSE)):
        for character in characters:
            table[ord(character)] |= bit
    assert "".join(c for c in CLOSES if unicodedata.category(c)[0] == "L") == ""
    return table


@numba.njit(cache=True)
def _lines(codes):  # type: ignore[no-untyped-def]
    """Where each line begins and ends without its line end; empty ones as well."""
    number = 1
    for code in codes:
        number += code == NEWLINE
    start, end = np.empty(number, np.int64), np.empty(number, np.int64)
    at, line = 0, 0
    for i in range(len(codes)):
        if codes[i] == NEWLINE:
            start[line], end[line] = at, i
            line += 1
            at = i + 1
    start[line], end[line] = at, len(codes)
    return start, end


@numba.njit(cache=True, inline="always")
def _insert(keys, key):  # type: ignore[no-untyped-def]
    """The slot of the key in an open-addressing table, and whether it was there. Zero marks an empty slot."""
    key |= np.uint64(1)
    slot = np.int64(mix_one(key) & np.uint64(len(keys) - 1))
    while keys[slot] != 0 and keys[slot] != key:
        slot = (slot + 1) & (len(keys) - 1)
    seen = keys[slot] == key
    keys[slot] = key
    return slot, seen


@numba.njit(cache=True)
def _table(entries):  # type: ignore[no-untyped-def]
    size = 16
    while size < 2 * entries:
        size *= 2
    return np.zeros(size, np.uint64)


@numba.njit(cache=True)
def number_found(listed, hashes):  # type: ignore[no-untyped-def]
    """How many of the listed hashes, a few, are among the others; in a fifth of the time of ``numpy.isin``."""
    found = np.zeros(len(listed), np.bool_)
    for value in hashes:
        for i in range(len(listed)):
            found[i] |= listed[i] == value
    return found.sum()


@numba.njit(cache=True)
def _fences(codes, start, end):  # type: ignore[no-untyped-def]
    """For each line whether it belongs to a fenced block, from its opening to its closing mark."""
    fenced = np.zeros(len(start), np.bool_)
    opened, mark = -1, np.uint32(0)
    for line in range(len(start)):
        i, stop = start[line], end[line]
        while i < stop and codes[i] <= 32:
            i += 1
        if stop - i < 3 or (codes[i] != TICK and codes[i] != TILDE):
            continue
        if codes[i + 1] != codes[i] or codes[i + 2] != codes[i]:
            continue
        if opened < 0:
            opened, mark = line, codes[i]
        elif codes[i] == mark:
            fenced[opened : line + 1] = True
            opened = -1
    return fenced


@numba.njit(cache=True)
def line_statistics(codes, kinds, marks, words):  # type: ignore[no-untyped-def]  # noqa: PLR0912
    """``LINE_COLUMNS`` of a text of so many words, and the ``[n, 2]`` character ranges of its fenced blocks."""
    start, end = _lines(codes)
    fenced = _fences(codes, start, end)
    seen_lines, seen_paragraphs = _table(len(start)), _table(len(start))
    counted = prose = prose_size = size = longest = 0
    symbols = alphanumeric = hash_signs = ellipses = chunks = alphabetic = sentences = 0
    repeated = repeated_size = bullets = dotted = punctuated = short = rows = 0
    paragraphs = paragraph_size = repeated_paragraphs = repeated_paragraph_size = 0
    paragraph, in_paragraph = np.uint64(0), 0
    for line in range(len(start) + 1):
        i, stop = (start[line], end[line]) if line < len(start) else (0, 0)
        while i < stop and kind_of(codes[i], kinds) == SPACE:
            i += 1
        while stop > i and kind_of(codes[stop - 1], kinds) == SPACE:
            stop -= 1
        if i == stop or fenced[min(line, len(start) - 1)]:
            if in_paragraph:  # a blank line, a fence or the end closes it
                paragraphs += 1
                paragraph_size += in_paragraph
                if _insert(seen_paragraphs, mix_one(paragraph))[1]:
                    repeated_paragraphs += 1
                    repeated_paragraph_size += in_paragraph
                paragraph, in_paragraph = np.uint64(0), 0
            if i == stop:
                continue
        first = i
        value = np.uint64(0)
        width = 0
        in_chunk = has_letter = False
        for j in range(i, stop):
            code = codes[j]
            kind = kind_of(code, kinds)
            width += 2 if kind == IDEOGRAPH else 1
            value = (value ^ np.uint64(code)) * np.uint64(BASE)
            value ^= value >> np.uint64(29)
            if kind == SPACE:
                chunks += in_chunk
                alphabetic += has_letter
                in_chunk = has_letter = False
                continue
            if kind >= DIGIT:
                alphanumeric += 1
                in_chunk = True  # what has neither letters nor digits is no word, or tables would have few
                has_letter = has_letter or kind >= LETTER
                continue
            symbols += kind == SYMBOL
            if code == HASH:
                hash_signs += 1
            elif code == DOTS or (code == DOT and j + 2 < stop and codes[j + 1] == DOT and codes[j + 2] == DOT):
                ellipses += 1
            if code < BMP and marks[code] & ENDS:
                following = codes[j + 1] if j + 1 < stop else NEWLINE
                # "3.14" and "a.b" end nothing; marks of other scripts stand without a space
                ends = following <= 32 or code > 255 or (following < BMP and marks[following] & CLOSE != 0)
                sentences += 1 if ends else 0
        chunks += in_chunk
        alphabetic += has_letter
        counted += 1
        size += stop - first
        longest = max(longest, stop - first)
        if fenced[line]:
            continue
        prose += 1
        prose_size += stop - first
        if codes[first] < BMP and marks[codes[first]] & BULLET:
            plain = codes[first] > 127 or (stop > first + 1 and codes[first + 1] <= 32)
            bullets += plain  # "-5" and "*emphasis*" are none
        last = stop - 1
        row = last > first and codes[first] == BAR and codes[last] == BAR
        while last > first and (
            (codes[last] < BMP and marks[codes[last]] & CLOSE) or (row and (codes[last] == BAR or codes[last] <= 32))
        ):
            last -= 1
        mark = marks[codes[last]] if codes[last] < BMP else np.uint8(0)
        punctuated += mark & ENDS != 0
        sentences += mark & PAUSE != 0
        short += width <= SHORT and not row and mark & (ENDS | PAUSE) == 0
        rows += row and mark & ENDS == 0
        dotted += codes[last] == DOTS or (
            last - first > 2 and codes[last] == DOT and codes[last - 1] == DOT and codes[last - 2] == DOT
        )
        if _insert(seen_lines, mix_one(value))[1]:
            repeated += 1
            repeated_size += stop - first
        paragraph = mix_one(paragraph * np.uint64(BASE) + value)
        in_paragraph += stop - first
    ranges = np.empty((fenced.sum(), 2), np.int64)
    number = 0
    for line in range(len(start)):
        if fenced[line]:
            ranges[number, 0], ranges[number, 1] = start[line], end[line]
            number += 1
    n, lines = max(len(codes), 1), max(prose, 1)
    written = max(prose - rows, 1)  # rows of a table end no sentence and are no lines of text
    values = np.array(
        [
            symbols / n, hash_signs / max(words, 1), ellipses / max(words, 1), alphabetic / max(chunks, 1),
            prose / max(words, 1), repeated_size / max(prose_size, 1), repeated / lines,
            repeated_paragraph_size / max(paragraph_size, 1), repeated_paragraphs / max(paragraphs, 1), bullets / lines,
            dotted / lines, punctuated / written, short / written, size / max(counted, 1), longest, alphanumeric / n,
            sentences, alphanumeric / max(words, 1),
        ],
        np.float32,
    )  # fmt: skip
    return values, ranges


@numba.njit(cache=True)
def word_statistics(start, end, hashes, fenced, characters):  # type: ignore[no-untyped-def]  # noqa: PLR0912
    """``WORD_COLUMNS``: characters in the most frequent n-gram, and in n-grams that came before, per character."""
    size = np.empty(len(hashes), np.int64)
    words = np.empty(len(hashes), np.uint64)
    number = block = 0
    for i in range(len(hashes)):
        while block < len(fenced) and fenced[block, 1] <= start[i]:
            block += 1
        if block < len(fenced) and fenced[block, 0] <= start[i]:
            continue
        words[number], size[number] = hashes[i], end[i] - start[i]
        number += 1
    values = np.zeros(len(TOP) + len(DUPLICATE), np.float32)
    if not characters:
        return values
    grams = words[:number].copy()
    length = size[:number].copy()
    keys = _table(number)
    few = _table(min(number, STRETCH))  # of one stretch: it stays in the processor's cache
    counts = np.zeros(len(keys), np.int32)
    for n in range(2, DUPLICATE[-1] + 1):
        windows = number - n + 1
        if windows < 2:
            break
        for i in range(windows):
            grams[i] = mix_one(grams[i] * np.uint64(BASE) + words[i + n - 1])
            length[i] += size[i + n - 1]
        if n <= TOP[-1]:
            keys[:] = 0
            counts[:] = 0
            best, best_length = 1, 0
            for i in range(windows):
                slot, _ = _insert(keys, grams[i])
                counts[slot] += 1
                if counts[slot] > best:
                    best, best_length = counts[slot], length[i] + n - 1
            values[n - TOP[0]] = best * best_length / characters
        else:
            repeated = i = stretch = 0
            while i < windows:
                if i >= stretch:
                    few[:] = 0
                    stretch += STRETCH
                if _insert(few, grams[i])[1]:
                    repeated += length[i]
                    i += n  # what is repeated counts once (as in Gopher)
                else:
                    i += 1
            values[len(TOP) + n - DUPLICATE[0]] = repeated / characters
    return values
