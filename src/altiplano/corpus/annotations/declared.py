"""The language that a document's place claims: ``react-de.jsonl.gz``, ``docs/fr/index.md``, ``https://host/ja/page``."""

import re

from altiplano.corpus.annotations.language import LANGUAGES

TOKEN = re.compile(rf"(?<![A-Za-z0-9])({'|'.join(LANGUAGES)})(?:[-_](?:[A-Za-z]{{4}}|[A-Za-z]{{2}}))?(?=[./_-]|$)")


def declared_language(place: str, url: str) -> str:
    """ISO 639-1; empty when neither names one. A file's own name counts before its folders, a place before a URL.

    A claim only: "it" or "no" may be words. ``audit.py`` believes a collection whose documents bear its name out.
    """
    for where in (place.split("#", maxsplit=1)[0], re.sub(r"^[a-z]+://[^/]*|[?#].*", "", url)):
        if found := TOKEN.findall(where):
            return str(found[-1])
    return ""
