"""What it takes to curate and tokenize so many tokens: cores, storage, what is moved, memory, money.

All of it is arithmetic: yields turn tokens into raw bytes, rates turn bytes into core-seconds. Nothing is run.

The plan of a corpus for people.
"""

import json
from dataclasses import dataclass, replace
from itertools import pairwise
from math import ceil
from typing import Any

from altiplano.errors import InputError
from altiplano.planning.curation.measured_rates import COMMON_CRAWL, Rates, Yield
from altiplano.recipe.schema import Recipe
from altiplano.recipe.units import human, human_bytes

MIX = {"web": 0.58, "academic": 0.125, "reference": 0.125, "code": 0.17}
"""Tokens by domain where the recipe has no mixture: 50 % general and 8 % multilingual text, 25 % mathematics and
reasoning, 17 % code (Llama 3, arXiv 2407.21783, section 3.1.2); that its 25 % come half from papers is assumed."""

CORE_HOUR = 0.04
"""US dollars: a virtual core on demand (assumed)."""

GIGABYTE_MONTH = 0.023
"""US dollars: object storage (assumed)."""

CRAWL_BYTES = 300 * 2**40
"""Raw bytes of a crawl of the web: Common Crawl's have 200 to 400 TiB."""

WARC_BYTES = 10**9
"""On disk, of one file of a crawl: the unit of work."""

KEY, HASH, COPY, SCORE, TOKEN = 16, 4, 100, 8, {True: 2, False: 4}
"""Bytes: of a fingerprint's key with its document, of a hash in a signature, of the parent's memory for a document that
has copies, of a perplexity, and of a token by whether the vocabulary fits 16 bits."""

RANGE_KEYS = 1 << 22
"""Keys that one task compares (corpus/deduplication/edges.py)."""

READS = 4
"""How often the annotated text is read again: fingerprints, perplexity, held-out overlap, publishing."""


AFTER = {
    "annotate_shard": "reading (counts of shards)",
    "_sample": "samples (limits of prose)",
    "write_edges": "comparing keys (clusters)",
    "_candidates": "choosing text for models",
    "_write_held": "held-out n-grams",
    "_write_seen": "held-out overlap",
    "_tally": "the tally (examples)",
}
"""What the parent process does after the tasks of a step."""


@dataclass(frozen=True)
class Amount:
    """Of one domain; bytes unless said otherwise."""

    domain: str
    tokens: float
    disk: float
    raw: float
    text: float
    documents: float
    copies: float
    kept_text: float
    kept_documents: float
    origin: str


@dataclass(frozen=True)
class CorpusPlan:
    """``core_seconds`` by step; ``storage`` and ``moved`` in bytes by what; ``parent`` of one run out of ``runs``."""

    recipe: str
    mode: str
    measured: str
    cores: int
    amounts: tuple[Amount, ...]
    runs: int
    core_seconds: dict[str, float]
    parent_seconds: dict[str, float]
    """By the task that it works after."""
    parent_memory: float
    shared_opens: float
    storage: dict[str, float]
    moved: dict[str, float]

    def total(self, name: str) -> float:
        return float(sum(getattr(one, name) for one in self.amounts))

    @property
    def core_hours(self) -> float:
        return sum(self.core_seconds.values()) / 3600

    @property
    def hours(self) -> float:
        """On ``cores`` cores, with all runs side by side: what is spread, then what one process per run does."""
        return self.core_hours / self.cores + sum(self.parent_seconds.values()) / 3600

    @property
    def dollars(self) -> dict[str, float]:
        held = sum(self.storage.values()) / 1e9
        return {"cores": self.core_hours * CORE_HOUR, "storage, a month": held * GIGABYTE_MONTH}


def plan_corpus(recipe: Recipe, rates: Rates, run: dict[str, Yield] | None = None, cores: int = 4096) -> CorpusPlan:
    """The plan for ``[batch] total_tokens`` of the recipe; ``run`` has the yields of a finished run.

    Raises InputError when there is no yield for a domain of the recipe.
    """
    if cores < 1:
        raise InputError(f"--cores {cores}: give a number of cores above 0")
    amounts = tuple(_amounts(recipe, rates, run or {}))
    mode, settings = recipe.corpus.extraction.html, recipe.corpus.deduplication
    text, documents = (float(sum(getattr(one, name) for one in amounts)) for name in ("text", "documents"))
    tokens, disk = (float(sum(getattr(one, name) for one in amounts)) for name in ("tokens", "disk"))
    copies = float(sum(one.copies for one in amounts))
    runs = max(1, ceil(sum(one.raw for one in amounts if one.domain == "web") / CRAWL_BYTES))

    seconds = {"reading and extraction": sum(one.raw * rates.extraction[mode][one.domain] for one in amounts)}
    seconds |= {step: text * rate for step, rate in rates.per_text_byte.items()}
    seconds["perplexity models"] = rates.models * runs
    seconds["tokenise"] = tokens * rates.per_token

    keys = documents * (settings.bands + 1 + settings.urls)
    signatures = documents * HASH * settings.bands * settings.rows
    annotated, published = text * rates.annotated, text * rates.published
    tasks, files = keys / runs / RANGE_KEYS, disk / runs / WARC_BYTES
    return CorpusPlan(
        recipe.name,
        mode,
        rates.measured,
        cores,
        amounts,
        runs,
        seconds,
        {name: documents / runs * rate for name, rate in rates.parent_per_document.items()},
        2 * copies / runs * COPY,
        2 * runs * ceil(tasks) * ceil(files),
        {
            "raw": disk,
            "annotated, until published": annotated,
            "fingerprints and scores, until published": keys * KEY + signatures + documents * SCORE,
            "documents": published,
            "tokens": tokens * TOKEN[recipe.model.vocab_size <= 65536],
        },
        {
            "raw files": disk,
            "annotated text": annotated * (1 + READS),
            "shuffled keys": 2 * keys * KEY,
            "signatures": signatures,
            "documents": published * 3,  # written; read for the vocabulary and for tokens
        },
    )


def _amounts(recipe: Recipe, rates: Rates, run: dict[str, Yield]) -> list[Amount]:
    found = []
    for domain, share in shares(recipe, run).items():
        measured = run.get(domain) or rates.yields.get(domain)
        if measured is None:
            raise InputError(f"no yield is known for the domain {domain}: give --from RUN of a run that has it")
        if domain == "web" and domain not in run:
            measured = crawled(measured)
        tokens = recipe.batch.total_tokens * share
        times = tokens / measured.tokens
        found.append(
            Amount(
                domain,
                tokens,
                times * measured.disk_bytes,
                times * measured.raw_bytes,
                times * measured.text_bytes,
                times * measured.documents,
                times * measured.copies,
                times * measured.kept_bytes,
                times * measured.kept_documents,
                measured.origin,
            )
        )
    return found


def crawled(measured: Yield) -> Yield:
    """The recorded pages were chosen: a crawl has as much text per raw byte, but little of it stays. Of the extracted
    documents as large a share as in the record are copies."""
    share = measured.raw_bytes * COMMON_CRAWL / measured.tokens
    kept = {name: getattr(measured, name) * share for name in ("kept_documents", "kept_bytes", "tokens")}
    return replace(measured, **kept, origin="FineWeb")


def shares(recipe: Recipe, run: dict[str, Yield]) -> dict[str, float]:
    """Tokens by domain: as the recipe mixes them, else as the run has them, else as Llama 3 did."""
    domains = list(dict.fromkeys(source.domain for source in recipe.corpus.sources))
    if recipe.mixture:
        weights: dict[str, float] = {}
        total = recipe.batch.total_tokens
        ends = [*(min(phase.from_tokens, total) for phase in recipe.mixture), total]
        for phase, (begin, end) in zip(recipe.mixture, pairwise(ends), strict=True):
            for source, weight in phase.weights.items():
                part = (end - begin) * weight / sum(phase.weights.values())
                domain = source.partition(".")[0]
                weights[domain] = weights.get(domain, 0.0) + part
    elif all(domain in run for domain in domains):
        weights = {domain: run[domain].tokens for domain in domains}
    else:
        weights = {domain: MIX[domain] for domain in domains}
    return {domain: weight / sum(weights.values()) for domain, weight in weights.items()}


def corpus_json(plan: CorpusPlan) -> dict[str, Any]:
    return {
        **{name: value for name, value in vars(plan).items() if name != "amounts"},
        "amounts": [dict(vars(one)) for one in plan.amounts],
        "core_hours": plan.core_hours,
        "hours": plan.hours,
        "dollars": plan.dollars,
    }


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
        _serial(plan),
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


def _serial(plan: CorpusPlan) -> str:
    """What one process of a run does while the others wait, and most of it."""
    whole = sum(plan.parent_seconds.values())
    largest = max(plan.parent_seconds, key=lambda name: plan.parent_seconds[name])
    share = plan.parent_seconds[largest] / whole if whole else 0.0
    after = AFTER.get(largest, largest)
    return (
        f"One run    its parent process: {_hours(whole / 3600)}, {share:.0%} of it after {after}; "
        f"{human_bytes(plan.parent_memory)} for documents that have copies"
    )


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
