"""Which language a text is in, by two identifiers, and how much of it is English although the rest is not.

The first identifier is py3langid's naive Bayes over byte n-grams, which knows 139 languages and a class of what is no
language. fastText's lid.176 is the second: it confirms or contradicts, and names a few languages that the first does
not know. Neither needs a download.

A text in a language that neither knows is ``und``: its n-grams are rarer than those of any text in the likeliest
language, or its script or letters are none of that language's.
"""

import functools
import re
import unicodedata
from typing import NamedTuple

import numpy as np

from altiplano.corpus.annotations import language_models as models
from altiplano.corpus.annotations import scripts
from altiplano.corpus.annotations.language_fit import fits
from altiplano.corpus.annotations.language_tags import NO_LANGUAGE, SECOND, family, larger
from altiplano.corpus.annotations.respelling import candidates, respelt
from altiplano.corpus.annotations.telling_words import is_filler, serbian_or

NOT_PROSE = re.compile(
    # code, addresses, tags; each begins with a character of its own, or the search would stop at every place
    r"`(?:(?<=^`)(``++)[^\n]*+\n.*?^`\1[^\n]*$|[^`\n]*`)|~(?<=^~)(~~++)[^\n]*+\n.*?^~\2[^\n]*$"
    r"|https?://\S+|<[^<>\n]{1,200}>|\]\([^()\s]*\)"
    # mathematics
    r"|\$\$.*?\$\$|\$[^$]{1,2000}\$|\\\[.{0,2000}?\\\]"
    r"|\\begin\{([a-z*]++)\}(?:[^\\]|\\(?!begin\{|end\{)[\s\S])*+\\end\{\3\}|\\[a-zA-Z]+",
    re.DOTALL | re.MULTILINE,
)
LOOKED_AT = 20_000
"""Characters of a text that are searched for prose and for English lines."""

WINDOW = 700
"""Characters of each of three windows (beginning, middle, end) that are identified. More do not raise accuracy."""

SECOND_WINDOW = 500

PART = 200
"""Characters of a part that is looked at for itself."""

SIGNS = re.compile(r"[^\w\s]{2,}|[\d_]+")
ASCII_WORDS = re.compile("[A-Za-z]+")

NAMED = 0.6
"""Probability from which the second identifier is believed that names a language the first does not know."""

CLOSE = -0.3
"""Misfit below which a text fits the first identifier's language too well to be in another."""

RESPELT_FROM, RESPELT_FIT, BETTER = -0.1, 0.0, 0.2
"""Misfit from which another script is tried, at most which it is accepted, and by how much it must be less."""

UNSEEN = ("az-Cyrl", "kk-Latn", "tk-Cyrl", "ug-Latn", "uz-Cyrl")
"""What the second identifier was not trained on."""


class Language(NamedTuple):
    """``code`` is BCP 47: ISO 639-1 (or -3), with the script where it is not the usual one; ``und`` for a language that
    is not known, ``zxx`` for none. ``score`` is the probability; ``second`` is the second identifier's language,
    ``und`` for none and where it does not know the first's."""

    code: str
    score: float
    second: str
    english: float
    """Share of the prose, in characters, in lines that are English rather than ``code``; 0 when that is English."""


class Guess(NamedTuple):
    """The first identifier's language, however badly the text fits it."""

    code: str
    score: float
    number: int
    """Of the class in the model."""
    misfit: float
    never: float


def language_of(text: str) -> Language:
    """The language of the text without code and formulas; ``und`` when nothing is left."""
    prose = NOT_PROSE.sub(" ", text[:LOOKED_AT])
    sample = unicodedata.normalize("NFC", _windows(" ".join(prose.split())))
    codes = scripts.code_points(sample)
    shares = scripts.script_shares(codes)
    if not shares:
        return Language("und", 0.0, "und", 0.0)
    labels, values = models.second().predict(sample[:SECOND_WINDOW])
    label, sure = (labels[0].removeprefix("__label__"), float(values[0])) if labels else ("und", 0.0)
    second = larger(label)
    guess = guess_of(sample)
    code, score, known = guess.code, guess.score, False
    if label in SECOND and second != code and sure >= NAMED and guess.misfit > CLOSE:
        code, score, known = second, sure, True
    script = scripts.script_of(code, shares)
    name = ""
    if code == "zxx" or (code == "la" and is_filler(sample)):
        name = "zxx"
    elif script and not scripts.has_foreign_letters(code, script, codes):
        known = known or fits(code, guess.misfit, guess.never, second, sure)
        known = known or fits(code, *_best_part(sample, script, guess), second, sure)
        name = scripts.tag(code, script, sample) if known else ""
    if name != "zxx" and guess.misfit > RESPELT_FROM:
        other, probability = _in_another_script(sample, max(shares, key=lambda script: shares[script]), guess.misfit)
        name, score = (other, probability) if other else (name, score)
    if name in ("hr", "bs", "sr-Latn"):
        name = serbian_or(name, sample)
    if code not in models.second_knows() or name in UNSEEN:
        second = "und"  # it cannot contradict
    english = 0.0 if name in ("en", "", *NO_LANGUAGE) else models.english_share(prose, guess.number)
    return Language(name or "und", round(score, 6), second, round(english, 6))


def guess_of(sample: str) -> Guess:
    data = (sample.lower() if sample.isupper() else sample).encode("utf-8", "replace")
    found = models.features(data)
    scores = models.scores(found)
    best = int(scores.argmax())
    # the square root keeps the probability calibrated over lengths (as py3langid's own norm_probs)
    probability = np.exp((scores - scores[best]) / np.sqrt(len(data)))
    code, near = _class(best)
    score = float(probability[near].sum() / probability.sum())
    return Guess(code, score, best, *models.misfit(found, best))


@functools.cache
def _class(number: int) -> tuple[str, list[int]]:
    """Language of a class of the first identifier, and the classes of it and of those near it."""
    languages = [larger(name) for name in models.first().codes]
    code = languages[number]
    return code, [i for i, other in enumerate(languages) if family(other) == family(code)]


def _best_part(sample: str, script: str, guess: Guess) -> tuple[float, float]:
    """Misfit, and share of n-grams that the language never has, of the part at the lower quarter. A page of French
    has commands, names and English in it, one of Chinese Latin letters; a text in another language is that throughout.
    """
    sample = SIGNS.sub(" ", sample)
    if script != "Latn":
        sample = ASCII_WORDS.sub(" ", sample)
    starts = range(0, max(len(sample) - PART // 2, 1), PART)
    parts = (sample[start : start + PART].encode("utf-8", "replace") for start in starts)
    found = sorted(models.misfit(models.features(part), guess.number) for part in parts)
    return found[(len(found) + 2) // 4]


def _in_another_script(sample: str, script: str, misfit: float) -> tuple[str, float]:
    """A language in a script in which the first identifier does not know it, and its probability, where that fits well
    and better than the identifier's own guess."""
    for language in candidates(sample, script):
        guess = guess_of(respelt(sample, language, script))
        if guess.code == language and guess.misfit <= min(RESPELT_FIT, misfit - BETTER):
            return f"{language}-{script}", guess.score
    return "", 0.0


def _windows(prose: str) -> str:
    if len(prose) <= 3 * WINDOW:
        return prose
    middle = (len(prose) - WINDOW) // 2
    return f"{prose[:WINDOW]} {prose[middle : middle + WINDOW]} {prose[-WINDOW:]}"
