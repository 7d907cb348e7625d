"""Counts of a run's documents, lists of them, and one of them by its id or address."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from altiplano.errors import InputError
from altiplano.execution import files
from altiplano.inspect.curated_run import Curated, rows
from altiplano.optional_imports import extra
from altiplano.tokens.shards import Shard

SHOWN = ["id", "domain", "language", "code_language", "source", "bytes", "keep", "reason", "split", "url"]

BEGINNING = 160
"""Characters of the text in a list."""

NAMED = 4
"""Candidates that a message names."""

ID = re.compile("[0-9a-f]{1,32}")


@dataclass(frozen=True)
class Wanted:
    """Which documents to list; None and empty ask for nothing."""

    reason: str | None = None
    language: str | None = None
    domain: str | None = None
    kept: bool = False
    contains: str = ""


def overview(curated: Curated, shards: Sequence[Shard]) -> dict[str, Any]:
    """Per domain × language documents, kept, dropped, bytes of kept text and tokens; the reasons, commonest first.

    From the audit and the list of token shards: no document is read.
    """
    groups: dict[tuple[str, str], Counter[str]] = {}
    reasons: Counter[str] = Counter()
    for kept in curated.audit.kept:
        book = groups.setdefault((kept.domain, kept.language), Counter())
        book.update(documents=kept.documents, kept=kept.documents, bytes=kept.bytes)
    for dropped in curated.audit.dropped:
        book = groups.setdefault((dropped.domain, dropped.language), Counter())
        book.update(documents=dropped.documents, dropped=dropped.documents)
        reasons[dropped.reason] += dropped.documents
    for shard in shards:
        groups.setdefault((shard.domain, shard.language), Counter())["tokens"] += shard.tokens
    names = ("documents", "kept", "dropped", "bytes", "tokens")
    return {
        "groups": [
            {"domain": domain, "language": language} | {name: book[name] for name in names}
            for (domain, language), book in sorted(groups.items(), key=lambda item: (item[0][0], -item[1]["documents"]))
        ],
        "reasons": [{"reason": reason, "documents": count} for reason, count in reasons.most_common()],
    }


def listed(curated: Curated, wanted: Wanted, limit: int) -> dict[str, Any]:
    """The first ``limit`` documents that are wanted, with the beginnings of their texts.

    ``total`` is how many there are, None where texts would have to be searched for it. Raises InputError for a reason,
    language or domain that does not occur.
    """
    condition = _condition(curated, wanted)
    found = list(islice(_matches(curated, condition, wanted.contains), limit))
    for row in found:
        row["begins"] = " ".join(row.pop("text")[: 4 * BEGINNING].split())[:BEGINNING]
    return {"total": None if wanted.contains else _total(curated, wanted), "documents": found}


def _matches(curated: Curated, condition: Any, contains: str) -> Iterator[dict[str, Any]]:
    data = extra("pyarrow.dataset")
    for part in curated.parts:
        # texts are most of a file: they are read only where one will be shown
        if condition is not None and not data.dataset(str(part), format="parquet").count_rows(filter=condition):
            continue
        here = condition
        if contains:
            holds = extra("pyarrow.compute").match_substring(data.field("text"), contains, ignore_case=True)
            here = holds if condition is None else condition & holds
        yield from rows([part], [*SHOWN, "text"], here)


def _condition(curated: Curated, wanted: Wanted) -> Any:
    field = extra("pyarrow.dataset").field
    both = [*curated.audit.kept, *curated.audit.dropped]
    conditions = [field("keep")] if wanted.kept else []
    for name in ("reason", "language", "domain"):
        value = getattr(wanted, name)
        if value is None:
            continue
        there = Counter[str]()
        for row in both:
            there[getattr(row, name, "")] += row.documents
        if value not in there or not value:
            names = ", ".join(one for one, _ in there.most_common() if one)
            raise InputError(f"--{name} {value}: no document of {curated.run} has it; there are {names}")
        conditions.append(field(name) == value)
    whole = None
    for condition in conditions:
        whole = condition if whole is None else whole & condition
    return whole


def _total(curated: Curated, wanted: Wanted) -> int:
    every = [*curated.audit.kept, *([] if wanted.kept else curated.audit.dropped)]
    return sum(
        row.documents
        for row in every
        if all(getattr(wanted, name) in (None, getattr(row, name, "")) for name in ("reason", "language", "domain"))
    )


def find(curated: Curated, name: str) -> dict[str, Any]:
    """The whole row of the document whose id is or begins with ``name``, or whose address it is; ``part`` is its file.

    Raises InputError when there is none, or more than one.
    """
    data = extra("pyarrow.dataset")
    by_id = ID.fullmatch(name) is not None
    field = data.field("id" if by_id else "url")
    condition = extra("pyarrow.compute").starts_with(field, name) if by_id else field == name
    found = [(part, row["id"]) for part in curated.parts for row in islice(rows([part], ["id"], condition), NAMED + 1)]
    what = "id that begins with" if by_id else "document with the url"
    if not found:
        raise InputError(f"{curated.run} has no {what} {name}: altiplano inspect {curated.run} --documents lists them")
    if len(found) > 1:
        names = ", ".join(identity for _, identity in found[:NAMED])
        more = ", …" if len(found) > NAMED else ""
        fix = "give more of the id" if by_id else "give an id"
        raise InputError(f"several documents of {curated.run} match {name}: {names}{more}; {fix}")
    part, identity = found[0]
    row = next(rows([part], files.schema_of(part).names, data.field("id") == identity))
    return {**row, "part": part}
