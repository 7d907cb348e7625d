"""Release: the model folder, its card and its samples, unless the red-team gate failed."""

import hashlib
from datetime import UTC, datetime

from altiplano.records import GateLimit, Samples
from altiplano.records.run_records import Records, read_records
from altiplano.release.card import write_card
from altiplano.release.generations import write_samples
from altiplano.release.model_folder import export
from altiplano.report.facts import run_facts
from altiplano.stages.stage import Context, Result, Stage


def run(context: Context) -> Result:
    """Publish nothing when the gate failed; otherwise write the folder."""
    inputs = context.inputs
    records = read_records(context.workspace, folders=inputs, recipe=context.recipe)
    failed = failed_gates(records)
    if failed:
        message = f"not released: {'; '.join(failed)}"
        return Result(counts={"failed_gates": failed}, passed=False, message=message)

    files = export(
        inputs["train"] / "weights",
        inputs["tokenize"] / "tokenizer",
        inputs["calibrate"] / "calibration.json",
        context.folder,
    )
    samples = write_samples(context.folder, inputs["tokenize"], context.recipe.seed)
    Samples(samples).write(context.folder / "samples.json")
    facts = run_facts(records, context.cluster)
    facts.write(context.folder / "facts.json")
    write_card(records, facts, context.folder / "README.md")
    size = sum((context.folder / name).stat().st_size for name in files)
    return Result(
        counts={"files": len(files), "bytes": size, "samples": len(samples), "parameters": facts.parameters},
        records=("README.md", "facts.json", "samples.json"),
    )


def failed_gates(records: Records) -> list[str]:
    """One line per gate that the model did not pass; a red team that left no verdict is a failed gate."""
    if records.redteam is None:
        return ["redteam: redteam.json is missing, so nothing vouches for this model"]
    failed = [gate for gate in records.redteam.gate if not gate.passed]
    lines = [f"redteam gate {gate.name}: {_why(gate)}" for gate in failed]
    today = datetime.now(UTC).date().isoformat()
    lines += [
        f"redteam gate {gate.name}: its waiver ended on {gate.waiver.until}"
        for gate in records.redteam.gate
        if gate.verdict == "waived" and gate.waiver is not None and gate.waiver.until < today
    ]
    if not lines and not records.redteam.passed:
        return ["redteam: not passed"]
    return lines


def _why(gate: GateLimit) -> str:
    if gate.verdict == "not shown":
        return f"not shown, and the recipe requires it ({gate.what})"
    return f"{gate.value:.4g} is above {gate.limit:.4g}"


def hardware(context: Context) -> str:
    """Power, place and name of the devices are on the card, so they determine it."""
    described = context.cluster.model_dump_json(exclude={"layout"})
    return hashlib.sha256(described.encode()).hexdigest()


STAGE = Stage(
    name="release",
    reads=("name", "seed", "disclosure", "model", "batch"),
    inputs=("curate", "tokenize", "train", "evaluate", "calibrate", "redteam"),
    run=run,
    code=("inference", "model", "planning", "recipe", "release", "report", "tokens"),
    sources=hardware,
)
