"""Accuracy of language identification on about 200 characters of text.

    python tests/corpus/annotations/language_evaluation.py

The texts are the translated messages of packages that are installed: Django's own (in the ``dev`` extra; BSD licence)
and, where there, Wagtail's and Sphinx's. Placeholders and markup are taken out and messages joined. A language counts
from 10 texts on, up to 60. Messages that a translator left in English are left out, parts of messages cannot be.
"""

import contextlib
import hashlib
import importlib.util
import io
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from babel.messages.pofile import read_po

from altiplano.corpus.annotations.language import language_of
from altiplano.corpus.annotations.language_tags import LANGUAGES, larger
from altiplano.corpus.annotations.scripts import primary

PACKAGES = ("django", "wagtail", "sphinx")
LENGTH = 200
FEWEST, MOST = 10, 60
NOT_TEXT = re.compile(r"%\([^)]*\)[a-z]|%[sdr]|\$?\{[^}]*\}|<[^>]*>|https?://\S+|&\w+;|\\n")
SAME = {"nb": "no", "hsb": "", "dsb": ""}


def catalogues() -> Iterator[Path]:
    for package in PACKAGES:
        if found := importlib.util.find_spec(package):
            yield from sorted(Path(str(found.origin)).parent.rglob("LC_MESSAGES/*.po"))


def messages(path: Path) -> Iterator[str]:
    with path.open("rb") as stream, contextlib.redirect_stdout(io.StringIO()):  # it reports faults of the catalogues
        for message in read_po(stream, ignore_obsolete=True):
            originals = message.id if isinstance(message.id, tuple) else (message.id,)
            texts = message.string if isinstance(message.string, tuple) else (message.string,)
            for text in texts if originals[0] and not message.fuzzy else ():
                plain = " ".join(NOT_TEXT.sub(" ", text or "").split())
                if len(plain) >= 25 and text not in originals:
                    yield plain


def samples() -> list[tuple[str, str]]:
    """``(language, text)`` of texts of at most 200 characters."""
    by_language: dict[str, set[str]] = defaultdict(set)
    for path in catalogues():
        code = re.split("[_@]", path.parents[1].name)[0]
        code = SAME.get(code, larger(code))
        if code in LANGUAGES:
            by_language[code].update(messages(path))
    found = []
    for language, texts in sorted(by_language.items()):
        shuffled = sorted(texts, key=lambda text: hashlib.sha256(text.encode()).digest())
        joined, own = "", []
        for text in shuffled:
            joined = f"{joined} {text}".strip()
            if len(joined) >= LENGTH:
                own.append((language, joined[:LENGTH]))
                joined = ""
        found += own[:MOST] if len(own) >= FEWEST else []
    return found


if __name__ == "__main__":
    wrong: dict[tuple[str, str], int] = defaultdict(int)
    second = 0
    every = samples()
    for language, text in every:
        known = language_of(text)
        code = primary(known.code)
        wrong[language, code] += code != language
        second += known.second == language
    errors = {pair: count for pair, count in wrong.items() if count}
    languages = len({language for language, _ in every})
    print(f"{len(every)} texts in {languages} languages: right {1 - sum(errors.values()) / len(every):.4f}")
    print(f"the second identifier alone: {second / len(every):.4f}")
    print("mistaken:", ", ".join(f"{a} for {b} {n}" for (a, b), n in sorted(errors.items(), key=lambda e: -e[1])))
