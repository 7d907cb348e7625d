"""What curation decided and by which limits: the funnel of each group, limits per language, text to judge rules by."""

from dataclasses import dataclass, field

from altiplano.formatting import number, percent
from altiplano.records import RuleExample
from altiplano.records.run_records import Records
from altiplano.report.sections.corpus_sections import Matrix


@dataclass
class Rule:
    """A reason with dropped text and text that was only just kept."""

    name: str
    count: int
    dropped: list[RuleExample] = field(default_factory=list)
    kept: list[RuleExample] = field(default_factory=list)


def funnel_matrix(records: Records) -> Matrix | None:
    """Documents of each domain × language after each step; the shade is the share that is left."""
    audit = records.audit
    if audit is None or not audit.groups:
        return None
    groups = sorted(audit.groups, key=lambda group: -group.documents[0])
    steps = ["read", *(step.step for step in audit.funnel[1:])]
    return Matrix(
        "domain.language",
        steps,
        [group.group for group in groups],
        [[(number(n), n / max(group.documents[0], 1)) for n in group.documents] for group in groups],
        [percent(group.documents[-1] / max(group.documents[0], 1), 0) for group in groups],
        "left",
    )


def limit_matrix(records: Records) -> Matrix | None:
    """Limits of prose that gave way to trusted text: general value, and each domain × language that has its own."""
    thresholds = records.audit.thresholds if records.audit else None
    if thresholds is None:
        return None
    groups = [group for group in thresholds.groups if group.limits]
    moved = {column for group in groups for column in group.limits}
    general = [limit for limit in thresholds.general if limit.column in moved]
    if not general:
        return None
    return Matrix(
        "limit",
        ["general", *(f"{group.domain}.{group.language}" for group in groups)],
        [f"{limit.column.replace('_', ' ')} {'≤' if limit.largest else '≥'}" for limit in general],
        [
            [(_short(limit.limit), 0.0)]
            + [(_short(group.limits.get(limit.column)), float(limit.column in group.limits)) for group in groups]
            for limit in general
        ],
        [number(sum(limit.column in group.limits for group in groups)) for limit in general],
        "moved",
    )


def bases(records: Records) -> list[tuple[str, int]]:
    """The text that limits were derived from, and how many trusted documents it has."""
    thresholds = records.audit.thresholds if records.audit else None
    groups = thresholds.groups if thresholds else []
    found = {(group.basis, group.trusted) for group in groups if group.trusted}
    # a language whose trusted text is of one domain stands once
    return sorted((name, n) for name, n in found if "." not in name or (name.rpartition(".")[2], n) not in found)


def rules(records: Records) -> list[Rule]:
    """Every reason with its text, the most frequent first."""
    audit = records.audit
    if audit is None:
        return []
    found: dict[str, Rule] = {}
    for row in audit.dropped:
        rule = found.setdefault(row.reason, Rule(row.reason, 0))
        rule.count += row.documents
    for example in audit.examples:
        rule = found.setdefault(example.reason, Rule(example.reason, 0))
        (rule.kept if example.kept else rule.dropped).append(example)
    return sorted((rule for rule in found.values() if rule.dropped), key=lambda rule: -rule.count)


def measured(example: RuleExample) -> str:
    """What the rule measured and compared with, in words; "" where it compares no numbers."""
    if example.value is None:
        return ""
    return _short(example.value) + (f", limit {_short(example.limit)}" if example.limit is not None else "")


def _short(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}" if abs(value) < 1000 else number(round(value))
