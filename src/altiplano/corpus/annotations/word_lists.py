"""The user's word lists (insults, adult terms, whatever a recipe wants to count), none of which is shipped here."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from altiplano.corpus.words import U64, ngram_hashes, word_hashes
from altiplano.errors import InputError

LONGEST = 6
"""Words of a phrase."""

Listed = dict[int, U64]
"""Per length in words, the hashes of the phrases of that length."""


def read_word_lists(paths: Mapping[str, Path]) -> dict[str, Listed]:
    """Per language, the list in the file: one word or phrase a line, ``#`` begins a comment.

    Raises InputError when a file cannot be read.
    """
    lists = {}
    for language, path in paths.items():
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            raise InputError(f"corpus.quality.word_lists.{language}: cannot read {path}: {error.strerror}") from error
        phrases = [word_hashes(line.split("#")[0]) for line in text.splitlines()]
        lists[language] = {
            n: np.unique(np.concatenate([ngram_hashes(phrase, n) for phrase in phrases if len(phrase) == n]))
            for n in sorted({len(phrase) for phrase in phrases if 0 < len(phrase) <= LONGEST})
        }
    return lists


def digests(paths: Mapping[str, Path]) -> dict[str, str]:
    """SHA-256 of each list, for what a run was made from; raises InputError as ``read_word_lists``."""
    return {language: hashlib.sha256(_content(language, path)).hexdigest() for language, path in paths.items()}


def _content(language: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"corpus.quality.word_lists.{language}: cannot read {path}: {error.strerror}") from error


def listed_share(words: U64, listed: Listed) -> float:
    """Share of words that are, or begin, a listed phrase."""
    if not len(words):
        return 0.0
    return sum(int(np.isin(ngram_hashes(words, n), phrases).sum()) for n, phrases in listed.items()) / len(words)
