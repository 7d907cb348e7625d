"""The plan of a corpus for people."""

import json

from altiplano.planning.corpus import CORE_HOUR, GIGABYTE_MONTH, CorpusPlan, corpus_json
from altiplano.recipe.units import human, human_bytes


def print_corpus_plan(plan: CorpusPlan, as_json: bool) -> None:
    print(json.dumps(corpus_json(plan), indent=1) if as_json else corpus_text(plan))


def corpus_text(plan: CorpusPlan) -> str:
    """Amounts by domain, core-hours by step, storage, what is moved, and the bounds of one process."""
    runs = f"{plan.runs:,} runs, one a crawl" if plan.runs > 1 else "one run"
    lines = [
        f"{plan.recipe}: {human(plan.total('tokens'))} tokens, HTML in {plan.mode} mode, {runs}",
        f"Time       {human(plan.core_hours)} core-hours: {_hours(plan.hours)} on {plan.cores:,} cores",
        f"Costs      ${human(plan.dollars['cores'])} of cores at ${CORE_HOUR} an hour, "
        f"${human(plan.dollars['storage, a month'])} of storage a month at ${GIGABYTE_MONTH} a GB (both assumed)",
        f"One run    its parent process: {_hours(plan.parent_seconds / 3600)}, {human_bytes(plan.parent_memory)} for "
        f"documents that have copies; its tokenize stage (one process): {_hours(plan.tokenise_seconds / 3600)}",
        "",
        _row("domain", "tokens", "raw on disk", "raw", "text", "documents", "kept text", "kept", "yield of"),
    ]
    lines += [
        _row(
            one.domain,
            human(one.tokens),
            _si(one.disk),
            _si(one.raw),
            _si(one.text),
            human(one.documents),
            _si(one.kept_text),
            human(one.kept_documents),
            one.origin,
        )
        for one in plan.amounts
    ]
    whole = sum(plan.core_seconds.values())
    lines += ["", f"{'step':<32}{'core-hours':>12}"]
    lines += [
        f"{step:<32}{human(seconds / 3600):>12}{seconds / whole:>8.1%}" for step, seconds in plan.core_seconds.items()
    ]
    for title, values in (("storage", plan.storage), ("moved between disks and cores", plan.moved)):
        lines += ["", title, *(f"  {name:<42}{_si(size):>10}" for name, size in values.items())]
        lines.append(f"  {'all':<42}{_si(sum(values.values())):>10}")
    rate = sum(plan.moved.values()) / (plan.core_hours / plan.cores * 3600)
    lines.append(f"  {'while cores work, a second':<42}{_si(rate):>10}")
    lines += ["", f"Files opened to compare keys: {human(plan.shared_opens)}. Rates: {plan.measured}."]
    return "\n".join(lines)


def _row(first: str, *others: str) -> str:
    return f"{first:<10}" + "".join(f"{text:>13}" for text in others)


def _hours(hours: float) -> str:
    if hours >= 72:
        return f"{hours / 24:,.3g} days" if hours < 24000 else f"{hours / 24:,.0f} days"
    return f"{hours:.3g} hours" if hours >= 1 else f"{hours * 60:.2g} minutes"


def _si(size: float) -> str:
    """Decimal units, as storage and networks are sold: ``1.5 TB``."""
    for scale, unit in ((1e15, "PB"), (1e12, "TB"), (1e9, "GB"), (1e6, "MB")):
        if size >= scale:
            return f"{size / scale:,.3g} {unit}" if size < 1000 * scale else f"{size / scale:,.0f} {unit}"
    return f"{size / 1e3:.3g} kB"
