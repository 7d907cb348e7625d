"""What curation decided and by which limits: the funnel of each group, limits per language, text to judge rules by."""

from dataclasses import dataclass, field
from typing import Any

from altiplano.formatting import number, percent
from altiplano.records.run_records import Records
from altiplano.report.sections.corpus_sections import Matrix


@dataclass
class Rule:
    """A reason with dropped text and text that was only just kept."""

    name: str
    count: int
    dropped: list[dict[str, Any]] = field(default_factory=list)
    kept: list[dict[str, Any]] = field(default_factory=list)


def funnel_matrix(records: Records) -> Matrix | None:
    """Documents of each domain × language after each step; the shade is the share that is left."""
    audit = records.audit or {}
    groups = sorted(audit.get("groups", []), key=lambda group: -group["documents"][0])
    if not groups:
        return None
    steps = ["read", *(step["step"] for step in audit["funnel"][1:])]
    return Matrix(
        "domain.language",
        steps,
        [group["group"] for group in groups],
        [[(number(n), n / max(group["documents"][0], 1)) for n in group["documents"]] for group in groups],
        [percent(group["documents"][-1] / max(group["documents"][0], 1), 0) for group in groups],
        "left",
    )


def limit_matrix(records: Records) -> Matrix | None:
    """Limits of prose that gave way to trusted text: general value, and each domain × language that has its own."""
    thresholds = (records.audit or {}).get("thresholds", {})
    groups = [group for group in thresholds.get("groups", []) if group["limits"]]
    moved = {column for group in groups for column in group["limits"]}
    general = [limit for limit in thresholds.get("general", []) if limit["column"] in moved]
    if not general:
        return None
    return Matrix(
        "limit",
        ["general", *(f"{group['domain']}.{group['language']}" for group in groups)],
        [f"{limit['column'].replace('_', ' ')} {'≤' if limit['largest'] else '≥'}" for limit in general],
        [
            [(_short(limit["limit"]), 0.0)]
            + [
                (_short(group["limits"].get(limit["column"])), float(limit["column"] in group["limits"]))
                for group in groups
            ]
            for limit in general
        ],
        [number(sum(limit["column"] in group["limits"] for group in groups)) for limit in general],
        "moved",
    )


def bases(records: Records) -> list[tuple[str, int]]:
    """The text that limits were derived from, and how many trusted documents it has."""
    groups = (records.audit or {}).get("thresholds", {}).get("groups", [])
    found = {(group["basis"], group["trusted"]) for group in groups if group["trusted"]}
    # a language whose trusted text is of one domain stands once
    return sorted((name, n) for name, n in found if "." not in name or (name.rpartition(".")[2], n) not in found)


def rules(records: Records) -> list[Rule]:
    """Every reason with its text, the most frequent first."""
    audit = records.audit or {}
    found: dict[str, Rule] = {}
    for row in audit.get("dropped", []):
        rule = found.setdefault(row["reason"], Rule(row["reason"], 0))
        rule.count += row["documents"]
    for example in audit.get("examples", []):
        rule = found.setdefault(example["reason"], Rule(example["reason"], 0))
        measured = _measured(example)
        (rule.kept if example.get("kept") else rule.dropped).append({**example, "measured": measured})
    return sorted((rule for rule in found.values() if rule.dropped), key=lambda rule: -rule.count)


def untranslated(records: Records) -> list[dict[str, Any]]:
    """Collections that claim a language and hold English pages."""
    return list((records.audit or {}).get("untranslated", []))


def _measured(example: dict[str, Any]) -> str:
    value, limit = example.get("value"), example.get("limit")
    if value is None:
        return ""
    return _short(value) + (f", limit {_short(limit)}" if limit is not None else "")


def _short(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}" if abs(value) < 1000 else number(round(value))
