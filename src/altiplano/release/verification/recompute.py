"""Figures of the evidence computed again from its rows: steps, documents, answers, attacks, shards.

Each function yields one line per figure that its rows do not give. What only the model or the text could give (a
gradient, a temperature, a document that was dropped) is not recomputed; docs/design/release.md lists it.
"""

import math
from collections.abc import Iterator
from pathlib import Path

from altiplano.errors import InputError
from altiplano.evaluation.document_scores import by_group, read_document_scores
from altiplano.evaluation.statistics import clustered_mean, clustered_ratio, wilson
from altiplano.recipe.trainings import Training, trainings
from altiplano.records import HeldoutScores, TextScores, TrainingSummary
from altiplano.records.run_records import Records, TrainingRecords
from altiplano.release.bundle import Bundle
from altiplano.release.documents.data_statistics import SOURCES
from altiplano.release.evidence import FOLDER, read_answers
from altiplano.training.optimizer import learning_rate

EXACT, ROUNDED = 1e-9, 1e-5
"""Relative differences: of sums in another order; of numbers that were written with six digits."""


def _close(value: float, written: float, tolerance: float = EXACT) -> bool:
    """Whether two figures are the same; two that are no number are."""
    return math.isclose(value, written, rel_tol=tolerance, abs_tol=tolerance) or (
        math.isnan(value) and math.isnan(written)
    )


def training_problems(bundle: Bundle) -> Iterator[str]:
    """Steps, tokens, learning rates and losses of every training against the recipe and its summary."""
    found = {one.stage: one for one in bundle.records.trainings}
    for training in trainings(bundle.recipe):
        one = found.get(training.stage)
        if one is None or one.run is None:
            yield f"{FOLDER}/{training.stage}/run.json is missing"
        else:
            yield from _problems_of_training(bundle, training, one, one.run)


def _problems_of_training(
    bundle: Bundle, training: Training, records: TrainingRecords, run: TrainingSummary
) -> Iterator[str]:
    recipe, metrics, folder = training.recipe, records.metrics, f"{FOLDER}/{training.stage}"
    where = f"{folder}/metrics.jsonl"
    for what, found, wanted in (
        ("steps", run.steps, recipe.batch.steps),
        ("tokens", run.tokens, recipe.batch.tokens_after(recipe.batch.steps)),
    ):
        if found != wanted:
            yield f"{folder}/run.json: {found:,} {what}, the recipe gives {wanted:,}"
    if not metrics and f"{training.stage}/metrics.jsonl" in bundle.left_out:
        metrics = []
    elif [line.step for line in metrics] != list(range(1, run.steps + 1)):
        yield f"{where}: its steps are not 1 to {run.steps:,}"
        return
    custom = "functions" in bundle.manifests[training.stage].inputs
    for line in metrics:
        rate = learning_rate(line.step - 1, recipe.batch.steps, recipe.optimizer)
        if not custom and not _close(line.learning_rate, rate):
            yield f"{where}: step {line.step}: learning rate {line.learning_rate:g}, the recipe gives {rate:g}"
            return
        if line.tokens != recipe.batch.tokens_after(line.step):
            yield f"{where}: step {line.step}: {line.tokens:,} tokens, the recipe gives another number"
            return
    counts = bundle.manifests[training.stage].counts
    for name, value in (("steps", run.steps), ("tokens", run.tokens), ("parameters", run.parameters)):
        if counts.get(name, value) != value:
            yield f"{folder}/run.json: {name} is {value:,}, the stage's manifest has {counts[name]:,}"
    for scores in records.heldout:
        yield from _heldout_problems(f"{folder}/heldout.jsonl: step {scores.step}", scores, run.steps)


def _heldout_problems(where: str, line: HeldoutScores, steps: int) -> Iterator[str]:
    if not 0 <= line.step <= steps:
        yield f"{where}: there is no such step"
    for name, scores in {**line.groups, "all": line.total}.items():
        yield from _score_problems(f"{where}: {name}", scores)
    for key in ("nll", "tokens", "bytes"):
        total = sum(getattr(scores, key) for scores in line.groups.values())
        if not _close(total, getattr(line.total, key)):
            yield f"{where}: {key} of all is not the sum of its groups"


def _log(value: float) -> float:
    return math.log(value) if value > 0 else math.nan


def _score_problems(where: str, scores: TextScores) -> Iterator[str]:
    """Bits per byte = nll / (ln 2 × bytes); perplexity = exp(nll / tokens)."""
    if scores.bytes and not _close(scores.nll / math.log(2) / scores.bytes, scores.bits_per_byte):
        yield f"{where}: bits per byte is not what its nll and bytes give"
    if scores.tokens and not _close(scores.nll / scores.tokens, _log(scores.perplexity)):
        yield f"{where}: perplexity is not what its nll and tokens give"


def evaluation_problems(folder: Path, bundle: Bundle) -> Iterator[str]:
    """Held-out scores against the loss of each document."""
    found, where = bundle.records.perplexity, f"{FOLDER}/evaluate/perplexity.json"
    if found is None:
        yield f"{where} is missing"
        return
    for name, scores in {**found.groups, "all": found.total}.items():
        yield from _score_problems(f"{where}: {name}", scores)
        if not scores.bits_per_byte_low <= scores.bits_per_byte <= scores.bits_per_byte_high:
            yield f"{where}: {name}: bits per byte is outside of its interval"
    for name, gap in found.train_gap.items():
        if not _close(gap.heldout - gap.train, gap.gap, ROUNDED):
            yield f"{where}: {name}: the gap is not the difference of held-out and training text"
    rows = folder / FOLDER / "evaluate" / "documents.parquet"
    if "evaluate/documents.parquet" in bundle.left_out:
        return
    if not rows.exists():
        yield f"{FOLDER}/evaluate/documents.parquet is missing: nothing to compute {where} from"
        return
    try:
        scored = read_document_scores(rows)
    except InputError as error:
        yield f"{FOLDER}/evaluate/documents.parquet: {error}"
        return
    groups = {name: [one for one in scored if one.group == name] for name in by_group(scored)}
    if groups.keys() != found.groups.keys():
        yield f"{where}: its groups are not those of documents.parquet"
        return
    for name, scores in {**found.groups, "all": found.total}.items():
        own = scored if name == "all" else groups[name]
        sums = {key: sum(getattr(one, key) for one in own) for key in ("nll", "tokens", "bytes")}
        if any(not _close(value, getattr(scores, key)) for key, value in sums.items()):
            yield f"{where}: {name}: not the sum of documents.parquet"
        elif len(own) != scores.documents:
            yield f"{where}: {name}: {scores.documents:,} documents, documents.parquet has {len(own):,}"


def benchmark_problems(folder: Path, records: Records) -> Iterator[str]:
    """Scores of benchmarks, with their intervals, against the answers to each item."""
    where = f"{FOLDER}/evaluate/benchmarks/benchmarks.json"
    if records.benchmarks is None:
        return
    answers = read_answers(folder / FOLDER / "evaluate" / "benchmarks" / "answers")
    for name, task in records.benchmarks.tasks.items():
        rows = answers.get(name, [])
        if len(rows) != task.items:
            yield f"{where}: {name}: {task.items:,} items, there are {len(rows):,} answers"
            continue
        clusters = [row["cluster"] for row in rows]
        if task.metric == "bits_per_byte":
            told = [row for row in rows if row["gold"] is not None and row["logprobs"] and row["bytes"]]
            bits = [-row["logprobs"][row["gold"]] / math.log(2) for row in told]
            mean = clustered_ratio(bits, [row["bytes"][row["gold"]] for row in told], [r["cluster"] for r in told])
        else:
            mean = clustered_mean([row["score"] for row in rows], clusters)
        for what, value, written in (
            ("score", mean.value, task.score.value),
            ("interval", mean.low if math.isfinite(mean.low) else mean.value, task.score.low),
            ("interval", mean.high if math.isfinite(mean.high) else mean.value, task.score.high),
        ):
            if not _close(value, written):
                yield f"{where}: {name}: its {what} is not what the answers give"
                break


def redteam_problems(records: Records) -> Iterator[str]:
    """Rates and gates against the numbers of hits."""
    where = f"{FOLDER}/redteam/redteam.json"
    if records.redteam is None:
        yield f"{where} is missing"
        return
    for test in records.redteam.tests:
        share = test.model.hits / max(1, test.n)
        low, high = wilson(share, test.n)
        figures = ((share, test.model.rate), (low, test.model.low), (high, test.model.high))
        if any(not _close(value, written, ROUNDED) for value, written in figures):
            yield f"{where}: {test.name}: its rate or interval is not what {test.model.hits} of {test.n} give"
        for control in test.controls:
            rate = control.hits / max(1, control.n)
            if not _close(rate, control.rate, ROUNDED):
                yield f"{where}: {test.name}: the rate of {control.name} is not {control.hits} of {control.n}"
    for gate in records.redteam.gate:
        excused = gate.verdict == "not shown" or (gate.verdict == "waived" and gate.waiver is not None)
        if gate.passed and gate.value > gate.limit and not excused:
            yield f"{where}: gate {gate.name}: {gate.value:g} is above {gate.limit:g} and is said to have passed"


def data_problems(bundle: Bundle) -> Iterator[str]:
    """Documents and bytes: the audit against the table of sources and the token shards."""
    records = bundle.records
    if records.audit is None:
        yield f"{FOLDER}/curate/audit.json is missing"
        return
    kept = {(one.domain, one.language, one.split): (one.documents, one.bytes) for one in records.audit.kept}
    table: dict[tuple[str, str, str], tuple[int, int]] = {}
    for row in bundle.sources:
        key = (row["domain"], row["language"], row["split"])
        before = table.get(key, (0, 0))
        table[key] = (before[0] + int(row["documents"]), before[1] + int(row["bytes"]))
    if {key: value for key, value in kept.items() if value[0]} != table:
        yield f"{FOLDER}/data/{SOURCES}: its sums are not those of {FOLDER}/curate/audit.json"
    shards: dict[tuple[str, str, str], tuple[int, int]] = {}
    for shard in records.shards:
        key = (shard.domain, shard.language, shard.split)
        before = shards.get(key, (0, 0))
        shards[key] = (before[0] + shard.documents, before[1] + shard.bytes)
    if shards != {key: value for key, value in kept.items() if value[0]}:
        yield f"{FOLDER}/tokenize/shards.json: documents or bytes are not those that {FOLDER}/curate/audit.json kept"
    left, last = records.audit.funnel[-1:], sum(documents for documents, _ in kept.values())
    if left and left[0].documents != last:
        yield f"{FOLDER}/curate/audit.json: its funnel ends with {left[0].documents:,} documents, {last:,} were kept"


def calibration_problems(bundle: Bundle) -> Iterator[str]:
    """One temperature, wherever it is written."""
    fitted, answers = bundle.records.calibration, bundle.records.answer_calibration
    where = f"{FOLDER}/calibrate/calibration.json"
    if fitted is None:
        yield f"{where} is missing"
        return
    if not fitted.temperature_low <= fitted.temperature <= fitted.temperature_high:
        yield f"{where}: the temperature is outside of its interval"
    if answers and answers.answer_temperature != fitted.answer_temperature:
        yield f"{where}: its answer temperature is not that of answer_calibration.json"
    for curve in (fitted.before, fitted.after):
        count = sum(one.count for one in curve.bins)
        error = sum(one.count * abs(one.confidence - one.accuracy) for one in curve.bins) / max(1, count)
        if count and not math.isclose(error, curve.ece, rel_tol=1e-3, abs_tol=1e-5):
            yield f"{where}: a calibration error is not what its bins give"
