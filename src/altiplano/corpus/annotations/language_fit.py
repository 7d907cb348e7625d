"""Whether a text is in its likeliest language at all, from how well it fits and what the second identifier says."""

FIT = 0.5
"""Above this a text is in another language."""

FIT_OF = {
    # languages of which the model's texts are few and of one kind, and that nothing else confirms
    "ace": 0.6, "an": 0.1, "as": 0.1, "ba": 0.1, "bcl": 0.3, "ext": 0.1, "fo": 0.3, "gcf": 0.1, "gcr": 0.1,
    "guw": 0.1, "jv": 0.0, "kab": 0.0, "lg": 0.3, "lij": 0.1, "ln": 0.1, "ltg": 0.1, "nso": -0.5, "oc": 0.1,
    "pcm": 0.2, "sa": 0.1, "sn": 0.3, "st": 0.4, "vec": 0.1, "vo": 0.1, "wa": 0.0, "xh": 0.3,
    # neighbours of languages that no identifier knows: Kven, Ladino, Corsican, Maithili, Tuvan, Khakas
    "es": 0.15, "fi": -0.45, "hi": 0.3, "it": 0.0, "kk": -0.2, "ky": -0.03, "ne": 0.0, "ru": 0.0,
    # languages of which much is written otherwise than in the model's texts: Yoruba without its tone marks
    "ca": 0.9, "cs": 0.85, "eu": 1.6, "ga": 1.6, "gl": 0.7, "hy": 0.7, "id": 1.2, "la": 1.0, "mg": 1.1, "ms": 1.2,
    "gn": 0.8, "qu": 1.0, "ro": 1.2, "sk": 0.7, "so": 1.1, "sr": 2.2, "tr": 1.15, "ur": 2.4, "uz": 0.9, "yo": 2.3,
    "zu": 0.8,
}  # fmt: skip
"""Where it is another. Set by hand on texts of 200 characters, so that about one in 200 of the language's own is lost:
the Declaration of Human Rights, Leipzig sentences, messages of Django; see ``benchmarks/languages.py``."""

NEVER = 2.0
AGREES = 0.8
CONTRADICTS = 0.5
"""Weights of the n-grams that the language never has and of the second identifier's probability, beside 1 for the
misfit: begun from logistic regression on texts of 69 languages against those of 150 that neither identifier knows, and
set by hand as above."""


def fits(language: str, misfit: float, never: float, second: str, sure: float) -> bool:
    """``misfit`` and ``never`` are those of ``language_models.misfit``; ``sure`` is the second's probability."""
    said = -AGREES * sure if second == language else CONTRADICTS * sure
    return misfit + NEVER * never + said <= FIT_OF.get(language, FIT)
