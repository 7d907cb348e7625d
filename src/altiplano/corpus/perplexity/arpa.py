"""A perplexity model as an ARPA file, which kenlm, SRILM and others read.

An ARPA file spells its words; a model knows hashes. ``spellings`` collects the words of the training texts as the
model reads them: folded, digits as 0, one per character where no spaces are written.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from altiplano.corpus.perplexity.ngram_model import BEGIN, END, NgramModel
from altiplano.corpus.words import characters, words_of

MARKS = {int(BEGIN): "<s>", int(END): "</s>"}
LOG10 = np.log(10.0)
IMPOSSIBLE = -99.0
"""What ARPA files give for the logarithm of zero."""


def fold(word: str) -> str:
    """The word as ``words.py`` hashes it."""
    parts = []
    for character in word:
        lower = character.lower()
        parts.append("0" if character.isdecimal() else lower if len(lower) == 1 else character)
    return "".join(parts)


def spell(text: str) -> list[str]:
    """The text's words, folded."""
    words = words_of(characters(text))
    return [fold(text[a:b]) for a, b in zip(words.start.tolist(), words.end.tolist(), strict=True)]


def spellings(texts: Iterable[str]) -> dict[int, str]:
    """Word by hash."""
    found: dict[int, str] = {}
    for text in texts:
        words = words_of(characters(text))
        for value, a, b in zip(words.hash.tolist(), words.start.tolist(), words.end.tolist(), strict=True):
            if value not in found:
                found[value] = fold(text[a:b])
    return found


def write_arpa(model: NgramModel, names: Mapping[int, str], path: Path) -> None:
    """``model`` was trained with ``keep_words``; ``names`` has every word of it. Logarithms are to base 10."""
    if not model.words:
        raise ValueError("the model was trained without keep_words: its n-grams cannot be spelt")
    spelt = {**MARKS, **names}
    order = len(model.keys)
    with path.open("w", encoding="utf-8") as stream:
        stream.write("\\data\\\n")
        for k in range(order):
            stream.write(f"ngram {k + 1}={len(model.keys[k]) + (k == 0)}\n")
        for k in range(order):
            stream.write(f"\n\\{k + 1}-grams:\n")
            if k == 0:
                stream.write(f"{max(model.log_unknown / LOG10, IMPOSSIBLE):.7g}\t<unk>\t0\n")
            rows = zip(
                model.words[k].tolist(),
                (model.log_probability[k] / LOG10).tolist(),
                (model.log_backoff[k] / LOG10).tolist(),
                strict=True,
            )
            for words, probability, backoff in rows:
                likely = 0.0 if words == [int(BEGIN)] else max(probability, IMPOSSIBLE)
                last = "" if k == order - 1 else f"\t{max(backoff, IMPOSSIBLE):.7g}"
                stream.write(f"{likely:.7g}\t{' '.join(spelt[word] for word in words)}{last}\n")
        stream.write("\n\\end\\\n")
