"""English pages inside translated collections: ``react-de.jsonl.gz`` claims German, and most of it still is English."""

from typing import Any

import numpy as np

from altiplano.corpus import files
from altiplano.corpus.columns import Columns, Shard

MIN_TRANSLATED = 2
"""Documents in the claimed language that make a claim credible: "it" in a file name may be a word."""

MIXED = 0.2
"""Share of English lines from which a translated page counts as partly English."""

PAGES = 20
"""Named per collection; the counts are of all."""


def untranslated(columns: Columns, shards: list[Shard]) -> list[dict[str, Any]]:
    """Per source and claimed language other than English: how many documents are in it, in English, or half each.

    English ones are kept as English where they are good text; copies of a page in several translations are duplicates.
    """
    found = []
    for source in np.unique(columns["source"].astype(str)):
        here = (columns["source"] == source) & (columns["domain"] != "code") & (columns["characters"] > 0)
        for declared in np.unique(columns["declared"][here].astype(str)):
            members = here & (columns["declared"] == declared)
            translated = members & (columns["language"] == declared)
            english = members & (columns["language"] == "en")
            if declared in ("", "en") or translated.sum() < MIN_TRANSLATED or not english.any():
                continue
            shown = np.flatnonzero(english)
            shown = shown[np.argsort(-columns["characters"][shown], kind="stable")][:PAGES]
            found.append(
                {
                    "source": str(source),
                    "declared": str(declared),
                    "documents": int(members.sum()),
                    "translated": int(translated.sum()),
                    "english": int(english.sum()),
                    "mixed": int((translated & (columns["english"] > MIXED)).sum()),
                    "kept": int((english & columns["keep"]).sum()),
                    "pages": [_page(columns, int(document), shards) for document in shown],
                }
            )
    return found


def _page(columns: Columns, document: int, shards: list[Shard]) -> dict[str, str]:
    path = shards[int(columns["shard"][document])].path
    page = files.read_row(path, int(columns["row"][document]), ["text", "url"])
    return {
        "url": page["url"],
        "text": " ".join(page["text"].split())[:200],
        "fate": str(columns["reason"][document]) or "kept",
    }
