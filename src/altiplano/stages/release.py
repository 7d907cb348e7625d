"""Release: the model folder, its evidence and its documents, unless the red-team gate failed."""

import hashlib
from datetime import UTC, datetime

from altiplano.errors import InputError
from altiplano.records import Export, Samples
from altiplano.records.run_records import Records, read_records
from altiplano.stages.stage import Context, Result, Stage, check_result
from altiplano.storage import remove_tree

SAMPLES = "samples.json"


def run(context: Context) -> Result:
    """Publish nothing when the gate failed; otherwise write the folder."""
    from altiplano.release.bundle import BOM, CARD, DATA_CARD, EXPORT, FACTS, SUMMARY, write_documents
    from altiplano.release.evidence import FOLDER, read_cluster, read_evidence, write_evidence
    from altiplano.release.gate import failed_gates
    from altiplano.release.generations import write_samples
    from altiplano.release.model_folder import export
    from altiplano.release.weight_files import describe_export
    from altiplano.report.facts import run_facts

    inputs, folder = context.inputs, context.folder
    for name in inputs:  # every byte of what is to be published, or stands behind it
        check_result(context.workspace, name, deep=True)
    records = read_records(context.workspace, folders=inputs, recipe=context.recipe)
    failed = failed_gates(records.redteam, datetime.now(UTC).date())
    if failed:
        message = f"not released: {'; '.join(failed)}"
        return Result(counts={"failed_gates": failed}, passed=False, message=message)

    trained = context.trained / "weights"
    tokenizer, calibration = inputs["tokenize"] / "tokenizer", inputs["calibrate"] / "calibration.json"
    files = export(trained, tokenizer, calibration, folder, context.recipe.release.dtype)
    rounding = describe_export(trained, folder, inputs["tokenize"])
    check_trained(records, rounding)
    rounding.write(folder / EXPORT)
    samples = write_samples(folder, inputs["tokenize"], context.recipe.seed)
    Samples(samples).write(folder / SAMPLES)
    remove_tree(folder / FOLDER)  # of an interrupted release
    write_evidence(inputs, context.recipe, context.cluster, folder / FOLDER)
    facts = run_facts(read_evidence(folder), read_cluster(folder / FOLDER))
    facts.write(folder / FACTS)
    write_documents(folder)
    size = sum((folder / name).stat().st_size for name in files)
    counts = {"files": len(files), "bytes": size, "samples": len(samples), "parameters": facts.parameters}
    # Measured values are in these: two runs that compute the same weights differ in them.
    measured = (CARD, BOM, DATA_CARD, SUMMARY, FACTS, EXPORT, SAMPLES, f"{FOLDER}/")
    return Result(counts, records=measured)


def check_trained(records: Records, rounding: Export) -> None:
    """Raises InputError when the trained weights are no longer what training published."""
    stage = records.trained
    published = records.manifests[stage].outputs if stage in records.manifests else {}
    for name, found in rounding.trained.items():
        if published.get(f"weights/{name}", found) != found:
            raise InputError(f"{stage}/weights/{name} has changed since it was trained; restore it or train again")


def hardware(context: Context) -> str:
    """Power, place and name of the devices are on the card, so they determine it."""
    described = context.cluster.model_dump_json(exclude={"layout"})
    return hashlib.sha256(described.encode()).hexdigest()


STAGE = Stage(
    name="release",
    reads=("name", "seed", "disclosure", "release", "model", "batch"),
    inputs=("curate", "tokenize", "train", "evaluate", "calibrate", "redteam"),
    run=run,
    code=("evaluation", "inference", "model", "planning", "recipe", "release", "report", "tokens"),
    sources=hardware,
)
