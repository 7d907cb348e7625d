"""The last screen of ``altiplano run``: what came of it, in a dozen lines per table."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from altiplano.formatting import duration, number, percent
from altiplano.recipe.units import human
from altiplano.records import GateLimit, TextGroup
from altiplano.records.run_records import Records, read_records
from altiplano.report.facts import wall_seconds

GREEN, RED = "green", "bold red"


def print_summary(workspace: Path) -> None:
    Console().print(summary(workspace))


def summary(workspace: Path) -> RenderableType:
    """Tables for whatever stages there are. Raises InputError when ``workspace`` is not the folder of a run."""
    records = read_records(workspace)
    parts: list[RenderableType] = []
    for part in (funnel_table(records), heldout_table(records), time_table(records)):
        if part is not None:
            parts += [part, ""]
    lines = (temperature_line(records), answer_line(records), *gate_lines(records))
    parts += [line for line in lines if line is not None]
    page = workspace / "report.html"
    if page.exists():
        parts.append(Text.assemble("Report        ", (str(page), "bold")))
    return Group(*parts)


def funnel_table(records: Records) -> Table | None:
    """Documents read and kept, and training tokens, per domain."""
    if records.audit is None:
        return None
    table = plain_table("Data", "domain", "documents", "dropped", "kept", "", "training tokens")
    groups = {}
    both: tuple[Sequence[TextGroup], Sequence[TextGroup]] = (records.audit.kept, records.audit.dropped)
    for domain in sorted({row.domain for rows in both for row in rows}):
        kept, dropped = (_documents(rows, domain) for rows in both)
        tokens = sum(s.tokens for s in records.shards if s.domain == domain and s.split == "train")
        groups[domain] = (kept, dropped, tokens)
    total = tuple(sum(column) for column in zip(*groups.values(), strict=True)) if len(groups) > 1 else None
    for domain, (kept, dropped, tokens) in [*groups.items(), *([("all", total)] if total else [])]:
        read = kept + dropped
        share = percent(kept / read, 0) if read else ""
        table.add_row(domain, number(read), number(dropped), number(kept), share, human(tokens) if tokens else "")
    return table


def heldout_table(records: Records) -> Table | None:
    """Bits per byte of every group at its first and its last evaluation."""
    if not records.heldout:
        return None
    table = plain_table("Held-out bits per byte", "group", "first", "last", "change")
    names = sorted({name for line in records.heldout for name in line.groups})
    curves = {name: [line.groups[name] for line in records.heldout if name in line.groups] for name in names}
    curves["all"] = [line.total for line in records.heldout]
    for name, curve in curves.items():
        if curve:
            first, last = curve[0].bits_per_byte, curve[-1].bits_per_byte
            table.add_row(name, f"{first:.3f}", f"{last:.3f}", f"{last - first:+.3f}")
    return table


def time_table(records: Records) -> Table | None:
    known = wall_seconds(records)
    if not known:
        return None
    table = plain_table("Time", "stage", "", "share")
    for stage, seconds in known.items():
        table.add_row(stage, duration(seconds), percent(seconds / max(sum(known.values()), 1e-9), 0))
    table.add_row("all", duration(sum(known.values())), "")
    return table


def temperature_line(records: Records) -> Text | None:
    if records.calibration is None:
        return None
    fitted = records.calibration
    change = f"calibration error {fitted.before.ece:.4f} to {fitted.after.ece:.4f}"
    return Text(f"Temperature   {fitted.temperature:.4f}  ({change})")


def answer_line(records: Records) -> Text | None:
    if records.answer_calibration is None:
        return None
    found = records.answer_calibration
    before, after = (found.together.scores[name].ece.value for name in ("uncalibrated", "temperature"))
    change = f"calibration error of answers, fitted on other tasks, {before:.3f} to {after:.3f}"
    return Text(f"Answers       {found.answer_temperature.value:.3g}  ({change})")


def gate_lines(records: Records) -> list[Text]:
    """The verdict, and every limit that did not hold."""
    if records.redteam is None:
        return []
    if records.redteam.passed:
        return [Text.assemble("Red team      ", ("passed", GREEN), f"  ({counted(records.redteam.gate)})")]
    return [Text.assemble("Red team      ", ("failed", RED), "  nothing was released")] + [
        Text(f"              {gate.name}: {number(gate.value)}, limit {number(gate.limit)}", RED)
        for gate in records.redteam.gate
        if not gate.passed
    ]


def counted(gate: Sequence[GateLimit]) -> str:
    """How many lines of the gate held, and how many did not but let the model through."""
    found = Counter(line.verdict or ("passed" if line.passed else "failed") for line in gate)
    held = f"{found.pop('passed', 0)} limits held"
    return ", ".join([held, *(f"{count} {verdict}" for verdict, count in found.items())])


def plain_table(title: str, first: str, *others: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    table.add_column(first, header_style="dim")
    for name in others:
        table.add_column(name, justify="right", header_style="dim")
    return table


def _documents(rows: Sequence[TextGroup], domain: str) -> int:
    return sum(row.documents for row in rows if row.domain == domain)
