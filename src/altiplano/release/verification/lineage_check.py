"""Do the files of a release belong together? The index, the chain of stage manifests, the recipe and the model folder.

Each function yields one line per problem. None of this needs a key: it is what somebody who signs anew must also get
right, and it says which file is at fault.
"""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from altiplano.errors import InputError
from altiplano.model.weights import hugging_face_config
from altiplano.recipe.schema import Recipe
from altiplano.recipe.trainings import last_training, trainings
from altiplano.records import EvidenceIndex, StageManifest
from altiplano.records.run_records import stage_names
from altiplano.release.bundle import CARD, EXPORT, FACTS, NOTICES, Bundle
from altiplano.release.evidence import FOLDER, INDEX, PATHS, whole_files, without_paths
from altiplano.release.model_folder import generation_config, write_tokenizer
from altiplano.release.signing import SIGNATURE
from altiplano.release.validate import weight_problems
from altiplano.release.weight_files import AS_TRAINED, verify_copy, weight_dtype
from altiplano.storage import all_in, json_digest, listed, read_json, write_json
from altiplano.tokens.tokenizer import Tokenizer

Sha256 = Callable[[Path], str]
"""The digest of a file; those that a verified signature vouches for need not be read again."""


def index_problems(folder: Path, index: EvidenceIndex, sha256: Sha256) -> Iterator[str]:
    """Is every file of the evidence in its index, as it was written, and does the index name all that it must?"""
    evidence = folder / FOLDER
    listed = {one.path: one for one in index.files}
    there = {path.relative_to(evidence).as_posix() for path in all_in(evidence) if path.is_file()} - {INDEX}
    for name in sorted(listed.keys() - there):
        yield f"{FOLDER}/{name} is missing"
    for name in sorted(there - listed.keys()):
        yield f"{FOLDER}/{name} is not in {FOLDER}/{INDEX}"
    for name in sorted(there & listed.keys()):
        if sha256(evidence / name) != listed[name].sha256:
            yield f"{FOLDER}/{name} is not what {FOLDER}/{INDEX} says (sha256 differs)"


def source_problems(index: EvidenceIndex, manifests: dict[str, StageManifest]) -> Iterator[str]:
    """Are whole files the run's own, by the stages' manifests, and is every figure's source there?"""
    sources = {one.source: one for one in index.files if one.source}
    left_out = {one.path for one in index.left_out}
    for stage, manifest in manifests.items():
        written = {f"{stage}/{name}": value for name, value in (manifest.outputs | manifest.records).items()}
        for source, one in sources.items():
            if source.startswith(f"{stage}/") and source != f"{stage}/manifest.json":
                if source not in written:
                    yield f"{FOLDER}/{one.path} is of no stage: {stage}/manifest.json does not name it"
                elif not one.removed and one.sha256 != written[source]:
                    yield f"{FOLDER}/{one.path} is not what {stage} wrote, by {FOLDER}/{stage}/manifest.json"
        for name in written:
            path = PurePosixPath(name.partition("/")[2])
            wanted = any(path.match(pattern.removeprefix("**/")) for pattern in whole_files(stage))
            if wanted and name not in sources and name not in left_out:
                yield f"{FOLDER}/{name} is missing: {stage} wrote it"


def chain_problems(recipe: Recipe, index: EvidenceIndex, manifests: dict[str, StageManifest]) -> Iterator[str]:
    """Is each stage made from the stages that are here, by the recipe that is here?"""
    whole = {one.path for one in index.files if PATHS not in one.removed}
    every = trainings(recipe)
    recipes = {one.stage: one.recipe for one in every}
    judged = stage_names(recipe)[:-1]
    for stage in judged:
        # what a phase changes holds for the stages after it
        values = recipes.get(stage, every[-1].recipe).model_dump(mode="json")
        values["corpus"].pop("root")
        if stage not in manifests:
            yield f"{FOLDER}/{stage}/manifest.json is missing: nothing says what {stage} was made from"
            continue
        manifest = manifests[stage]
        if f"{stage}/manifest.json" in whole and manifest.hash != hash_of(manifest):
            yield f"{FOLDER}/{stage}/manifest.json: its hash is not that of its values"
        for name, used in manifest.inputs.items():
            if name in manifests and manifests[name].hash != used:
                yield f"{FOLDER}/{stage}/manifest.json was made from another {name} ({used[:12]}) than is here"
        yield from _recipe_problems(f"{FOLDER}/{stage}/manifest.json", manifest.recipe, values)


def hash_of(manifest: StageManifest) -> str:
    names = ("stage", "version", "recipe", "inputs", "outputs", "counts", "passed")
    return json_digest({name: getattr(manifest, name) for name in names})


def _recipe_problems(where: str, made_by: dict[str, Any], values: dict[str, Any]) -> Iterator[str]:
    """Recipe values that a stage was made by and that the released recipe has otherwise."""
    for key, value in made_by.items():
        now: Any = values
        for part in key.split("."):
            now = now.get(part) if isinstance(now, dict) else None
        if without_paths(value) != without_paths(now):
            yield f"{FOLDER}/recipe.toml: {key} is not what the stage was made by ({where})"


def manifest_problems(folder: Path, bundle: Bundle, sha256: Sha256) -> Iterator[str]:
    """The release's own manifest: is it of these stages, this recipe and these files?"""
    try:
        manifest = StageManifest.read(folder / "manifest.json")
    except FileNotFoundError:
        yield "manifest.json is missing"
        return
    if manifest.hash != hash_of(manifest):
        yield "manifest.json: its hash is not that of its values"
    for name, one in bundle.manifests.items():
        if manifest.inputs.get(name) != one.hash:
            yield f"manifest.json was made from another {name} than is in {FOLDER}/{name}/manifest.json"
    values = bundle.recipe.model_dump(mode="json")
    yield from _recipe_problems("manifest.json", manifest.recipe, values)
    written = {name: value for name, value in manifest.records.items() if name.startswith(f"{FOLDER}/")}
    written |= {name: value for name, value in manifest.records.items() if name in (FACTS, EXPORT, "samples.json")}
    for name, value in (manifest.outputs | written).items():
        gone = bundle.withdrawn is not None and ".safetensors" in name
        if (folder / name).is_file() and sha256(folder / name) != value:
            yield f"{name} is not what was released, by manifest.json (sha256 differs)"
        elif not (folder / name).is_file() and not gone:
            yield f"{name} is missing: it was released, by manifest.json"
    known = {*manifest.outputs, *manifest.records, "manifest.json", SIGNATURE, NOTICES}
    for path in all_in(folder):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name not in known and not name.startswith((".git", ".cache/huggingface/")):
            yield f"{name} is no file of this release, by manifest.json"


def model_problems(folder: Path, bundle: Bundle, sha256: Sha256) -> Iterator[str]:
    """Is the model folder what the export makes of the recipe, the run's tokenizer and its calibration?"""
    last, export, evidence = last_training(bundle.recipe), bundle.export, folder / FOLDER
    recipe = last.recipe
    trained = bundle.manifests[last.stage].outputs
    for name, value in export.trained.items():
        if trained.get(f"weights/{name}") != value:
            yield f"{EXPORT}: {name} was not trained: {FOLDER}/{last.stage}/manifest.json has other weights"
    if wanted := {name for name in trained if name.endswith(".safetensors")} - {f"weights/{n}" for n in export.trained}:
        yield f"{EXPORT} does not name {min(wanted)}"
    if recipe.release.dtype not in (AS_TRAINED, export.dtype):
        yield f"{EXPORT}: weights are of {export.dtype}, the recipe says {recipe.release.dtype}"
    if bundle.withdrawn is None:
        yield from _weight_problems(folder, bundle, sha256)
    tokenizer = Tokenizer.load(evidence / "tokenize" / "tokenizer")
    context = recipe.batch.sequence_length
    with tempfile.TemporaryDirectory() as name:
        made = Path(name)
        write_tokenizer(tokenizer, context, made)
        config = hugging_face_config(recipe.model, context, tokenizer.bos, tokenizer.eos, export.dtype)
        write_json(made / "config.json", config, indent=2)
        fitted = bundle.records.calibration
        if fitted is not None:
            settings = generation_config(tokenizer, fitted.temperature)
            write_json(made / "generation_config.json", settings, indent=2)
        for path in sorted(made.iterdir()):
            if not (folder / path.name).exists():
                yield f"{path.name} is missing"
            elif read_json(folder / path.name) != read_json(path):
                yield f"{path.name} is not what recipe, tokenizer and calibration give: {_differing(folder, path)}"
    calibration = evidence / "calibrate" / "calibration.json"
    if calibration.exists() and sha256(folder / "calibration.json") != sha256(calibration):
        yield f"calibration.json is not {FOLDER}/calibrate/calibration.json"


def _weight_problems(folder: Path, bundle: Bundle, sha256: Sha256) -> Iterator[str]:
    export = bundle.export
    there = {path.name for path in listed(folder, "*.safetensors")}
    for name in sorted(there ^ export.released.keys()):
        yield f"{name} is {'not in ' + EXPORT if name in there else 'missing'}"
    for name in sorted(there & export.released.keys()):
        if sha256(folder / name) != export.released[name]:
            yield f"{name} is not what {EXPORT} says (sha256 differs)"
    if export.released.keys() != export.trained.keys():
        yield f"{EXPORT}: the files that were trained and released have other names"
    if export.dtype == export.trained_dtype and export.released != export.trained:
        yield f"{EXPORT}: weights that were not rounded are not those that were trained"
    try:
        if there and weight_dtype(folder) != export.dtype:
            yield f"{EXPORT}: weights are of {weight_dtype(folder)}, not {export.dtype}"
        yield from weight_problems(folder, read_json(folder / "config.json"))
    except InputError as error:
        yield str(error)


def run_problems(folder: Path, bundle: Bundle, run: Path, sha256: Sha256) -> Iterator[str]:
    """With the run at hand: is the evidence the run's, and are the released weights the trained ones, rounded?"""
    for one in bundle.index.files:
        if one.source and not (run / one.source).exists():
            yield f"{FOLDER}/{one.path}: {run / one.source} is missing"
        elif one.source and not one.removed and sha256(run / one.source) != one.sha256:
            yield f"{FOLDER}/{one.path} is not {run / one.source}"
    for stage, manifest in bundle.manifests.items():
        path = run / stage / "manifest.json"
        if path.exists() and StageManifest.read(path).hash != manifest.hash:
            yield f"{FOLDER}/{stage}/manifest.json is of another result than {path}"
    if bundle.withdrawn is not None:
        return
    try:
        verify_copy(run / bundle.records.trained / "weights", folder)
    except InputError as error:
        yield str(error).partition(";")[0]


def _differing(folder: Path, made: Path) -> str:
    """The first key that differs."""
    there, here = read_json(folder / made.name), read_json(made)
    keys = sorted(key for key in {*there, *here} if there.get(key) != here.get(key))
    return keys[0] if keys else CARD
