"""Examples by which a person can judge a filter: documents that it dropped, and those that it only just kept.

Also English pages inside translated collections: ``react-de.jsonl.gz`` declares German, and much of it is English.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from altiplano.corpus.classifier.classify import unlike
from altiplano.corpus.documents import Columns, DocumentShard, group_names
from altiplano.corpus.filters.heuristics import wanted
from altiplano.corpus.filters.limits import GroupLimits, limits_by_document, limits_of
from altiplano.execution import files
from altiplano.recipe.schema import CorpusConfig

EXAMPLES = 3
"""Per reason, of the dropped and of the kept."""

EXCERPT = 500
"""Characters."""


class Threshold(NamedTuple):
    """A filter that compares numbers: each document's value and limit (NaN where it does not apply)."""

    values: NDArray[np.float64]
    limits: NDArray[np.float64]
    largest: bool


def samples(
    columns: Columns,
    shards: list[DocumentShard],
    corpus: CorpusConfig,
    groups: list[GroupLimits],
    least: Mapping[str, float],
) -> list[dict[str, Any]]:
    """Per reason up to three dropped documents, the lowest ids first, and the three kept ones nearest to the limit.

    For a duplicate the kept document is the copy that stayed. ``least`` are the classifier's limits.
    """
    limits = limits_by_document(columns, groups)
    chosen: list[tuple[int, dict[str, Any]]] = []
    for reason in sorted(set(columns["reason"].tolist()) - {"", "no text"}):
        members = np.flatnonzero(columns["reason"] == reason)
        dropped = members[np.argsort(columns["id"][members])][:EXAMPLES]
        rule = _rule(reason, columns, corpus, limits, least)
        if rule is None:
            kept = np.flatnonzero(columns["keep"] & np.isin(columns["id"], columns["copy_of"][dropped]))
        else:
            kept = _borderline(rule, columns["keep"])
        for side, documents in ((False, dropped), (True, kept)):
            for document in documents.tolist():
                chosen.append((document, {"reason": reason, "kept": side, **_numbers(rule, document)}))
    return _written(columns, chosen, shards)


def disagreements(
    columns: Columns, shards: list[DocumentShard], corpus: CorpusConfig, least: Mapping[str, float]
) -> list[dict[str, Any]]:
    """Of what only perplexity drops the documents that the classifier likes best; of what only the classifier drops
    those of the lowest perplexity for their domain × language."""
    if corpus.quality.classifier is None:
        return []
    bad = unlike(columns, corpus.quality.classifier, least)
    scored = ~np.isnan(columns["classifier"])
    chosen: list[tuple[int, dict[str, Any]]] = []
    of_perplexity, of_classifier = _perplexity_rule(columns), _classifier_rule(columns, least)
    for reason, members, order, rule in (
        ("perplexity", scored & ~bad, -columns["classifier"], of_perplexity),
        ("classifier", scored, columns["perplexity"] / of_perplexity.limits, of_classifier),
    ):
        rows = np.flatnonzero(members & (columns["reason"] == reason))
        rows = rows[np.argsort(order[rows], kind="stable")][: 2 * EXAMPLES]
        chosen += [(row, {"reason": reason, "kept": False, **_numbers(rule, row)}) for row in rows.tolist()]
    return _written(columns, chosen, shards)


def _written(
    columns: Columns, chosen: list[tuple[int, dict[str, Any]]], shards: list[DocumentShard]
) -> list[dict[str, Any]]:
    found = _cells(columns, np.array(sorted({document for document, _ in chosen}), np.int64), shards)
    return [
        {
            **about,
            **found[document],
            "source": str(columns["source"][document]),
            "language": str(columns["language"][document]),
        }
        for document, about in chosen
    ]


def _rule(
    reason: str,
    columns: Columns,
    corpus: CorpusConfig,
    limits: Callable[[str], NDArray[np.float64]],
    least: Mapping[str, float],
) -> Threshold | None:
    """The comparison behind a reason; None for one that compares no numbers. For code the limits of code count."""
    code = columns["domain"] == "code"
    if reason == "perplexity":
        return _perplexity_rule(columns)
    if reason == "classifier":
        return _classifier_rule(columns, least)
    if reason == "too short":
        whole = np.full(len(code), float(corpus.quality.min_characters))
        return Threshold(columns["characters"].astype(np.float64), whole, False)
    if reason == "language uncertain":
        sure = np.where(code, np.nan, corpus.quality.min_language_score)
        return Threshold(columns["language_score"].astype(np.float64), sure, False)
    prose = next((limit for limit in limits_of(corpus.quality.prose) if limit.reason == reason), None)
    of_code = next((limit for limit in limits_of(corpus.quality.code) if limit.reason == reason), None)
    limit = prose or of_code
    if limit is None:
        return None
    asked = limits(limit.column)
    if of_code:
        asked = np.where(code, of_code.general, asked)
    return Threshold(columns[limit.column].astype(np.float64), asked, limit.largest)


def _perplexity_rule(columns: Columns) -> Threshold:
    """The limit is the highest perplexity among the kept of the domain × language: where its rank was cut."""
    groups, number = np.unique(group_names(columns).astype(str), return_inverse=True)
    highest = np.full(len(groups), np.nan)
    kept = np.flatnonzero(columns["keep"] & ~np.isnan(columns["perplexity"]))
    np.fmax.at(highest, number[kept], columns["perplexity"][kept])
    return Threshold(columns["perplexity"], highest[number], True)


def _classifier_rule(columns: Columns, least: Mapping[str, float]) -> Threshold:
    smallest = np.array([least.get(str(group), np.nan) for group in group_names(columns)])
    return Threshold(columns["classifier"], smallest, False)


def _borderline(rule: Threshold, keep: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The kept documents whose values come nearest to their limits."""
    asked = np.flatnonzero(keep & ~np.isnan(rule.values) & ~np.isnan(rule.limits))
    distance = np.abs(rule.limits[asked] - rule.values[asked])
    return asked[np.argsort(distance, kind="stable")][:EXAMPLES]


def _numbers(rule: Threshold | None, document: int) -> dict[str, float | None]:
    numbers = (rule.values[document], rule.limits[document]) if rule else (np.nan, np.nan)
    value, limit = (None if np.isnan(number) else round(float(number), 4) for number in numbers)
    return {"value": value, "limit": limit}


def _cells(columns: Columns, which: NDArray[np.int64], shards: list[DocumentShard]) -> dict[int, dict[str, str]]:
    """Excerpt and address of each document, shard by shard."""
    found = {}
    for shard in np.unique(columns["shard"][which]):
        members = which[columns["shard"][which] == shard]
        table = files.read_table(shards[shard].path, ["text", "url"])
        for document in members.tolist():
            row = int(columns["row"][document])
            found[document] = {"text": table["text"][row].as_py()[:EXCERPT], "url": table["url"][row].as_py()}
    return found


MIN_TRANSLATED = 2
"""Documents in the declared language that make it credible: "it" in a file name may be a word."""

MIXED = 0.2
"""Share of English lines from which a translated page counts as partly English."""

PAGES = 20
"""Pages listed per collection; the counts are of all."""


def untranslated(columns: Columns, shards: list[DocumentShard]) -> list[dict[str, Any]]:
    """Per source and declared language other than English: how many documents are in it, in English, or half each.

    English ones are kept as English where they are good text; copies of a page in several translations are duplicates.
    """
    found = []
    for source in np.unique(columns["source"].astype(str)):
        here = (columns["source"] == source) & (columns["domain"] != "code") & (columns["characters"] > 0)
        for declared in np.unique(columns["declared"][here].astype(str)):
            members = here & (columns["declared"] == declared)
            translated = members & wanted(columns["language"], [str(declared)])
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


def _page(columns: Columns, document: int, shards: list[DocumentShard]) -> dict[str, str]:
    path = shards[int(columns["shard"][document])].path
    page = files.read_row(path, int(columns["row"][document]), ["text", "url"])
    return {
        "url": page["url"],
        "text": " ".join(page["text"].split())[:200],
        "fate": str(columns["reason"][document]) or "kept",
    }
