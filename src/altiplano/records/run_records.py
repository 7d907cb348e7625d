"""What a run left on disk, read once for the card, the report and the last screen.

Whatever is missing is None or empty.
"""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from altiplano.errors import InputError
from altiplano.recipe.load import load_recipe
from altiplano.recipe.schema import Recipe

STAGES = ("curate", "tokenize", "train", "evaluate", "calibrate", "redteam", "release")


@dataclass(frozen=True)
class Records:
    """The records of one run; the shapes of the files are in docs/architecture.md."""

    name: str
    workspace: Path
    recipe: Recipe | None
    recipe_text: str
    manifests: dict[str, dict[str, Any]]
    under_way: tuple[str, ...]
    """Stages that have files but no manifest yet."""
    audit: dict[str, Any] | None
    shards: list[dict[str, Any]]
    run: dict[str, Any] | None
    mixture: list[dict[str, Any]]
    metrics: list[dict[str, Any]]
    heldout: list[dict[str, Any]]
    perplexity: dict[str, Any] | None
    calibration: dict[str, Any] | None
    redteam: dict[str, Any] | None
    samples: list[dict[str, Any]]
    facts: dict[str, Any] | None
    card: str

    @property
    def done(self) -> tuple[str, ...]:
        return tuple(stage for stage in STAGES if stage in self.manifests)


def read_records(workspace: Path, folders: Mapping[str, Path] | None = None, recipe: Recipe | None = None) -> Records:
    """The records of the run in ``workspace``. ``folders`` (stage → folder) replaces the published stage folders.

    Raises InputError when ``workspace`` is not a run folder.
    """
    found = dict(folders) if folders is not None else _stage_folders(workspace)
    text = workspace / "recipe.toml"
    if not found and not text.exists():
        raise InputError(f"{workspace} is not the folder of a run: it has neither recipe.toml nor any stage in it")
    manifests = {stage: read_json(folder / "manifest.json") for stage, folder in found.items()}
    for stage in [stage for stage in found if _is_stale(manifests[stage], manifests)]:
        del found[stage], manifests[stage]

    def file(stage: str, path: str) -> Path:
        return found.get(stage, workspace / "absent") / path

    return Records(
        name=recipe.name if recipe is not None else workspace.resolve().name,
        workspace=workspace,
        recipe=recipe if recipe is not None else _recipe(text),
        recipe_text=text.read_text(encoding="utf-8") if text.exists() else "",
        manifests={stage: manifest for stage, manifest in manifests.items() if manifest},
        under_way=tuple(stage for stage in STAGES if stage in found and not manifests[stage]),
        audit=read_json(file("curate", "audit.json")),
        shards=(read_json(file("tokenize", "shards.json")) or {}).get("shards", []),
        run=read_json(file("train", "run.json")),
        mixture=read_json(file("train", "mixture.json")) or [],
        metrics=read_lines(file("train", "metrics.jsonl")),
        heldout=read_lines(file("train", "heldout.jsonl")),
        perplexity=read_json(file("evaluate", "perplexity.json")),
        calibration=read_json(file("calibrate", "calibration.json")),
        redteam=read_json(file("redteam", "redteam.json")),
        samples=read_json(file("release", "samples.json")) or [],
        facts=read_json(file("release", "facts.json")),
        card=_text(file("release", "README.md")),
    )


def dropped_by_reason(records: Records) -> list[tuple[str, int]]:
    """Dropped documents per reason, the commonest first."""
    counts: Counter[str] = Counter()
    for row in (records.audit or {}).get("dropped", []):
        counts[row["reason"]] += row["documents"]
    return counts.most_common()


def evaluation_groups(records: Records) -> list[dict[str, Any]]:
    groups = (records.perplexity or {}).get("groups", {})
    return [{"name": name, **group} for name, group in sorted(groups.items())]


def read_json(path: Path) -> Any:
    """The JSON in ``path``, or None when there is no such file or it is only half written."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The objects of a JSON Lines file, up to the first broken line (a run that was killed may leave one)."""
    lines: list[dict[str, Any]] = []
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                lines.append(json.loads(line))
            except ValueError:
                break
    return lines


def _is_stale(manifest: Any, manifests: Mapping[str, Any]) -> bool:
    """Whether a published stage was computed from inputs that have been, or are being, replaced."""
    inputs = (manifest or {}).get("inputs", {})
    return any(stage in manifests and (manifests[stage] or {}).get("hash") != used for stage, used in inputs.items())


def _stage_folders(workspace: Path) -> dict[str, Path]:
    """Published stage folders; for a stage that has none, the newest one in the making."""
    found = {}
    for stage in STAGES:
        work = sorted((workspace / ".work").glob(f"{stage}-*"), key=lambda path: path.stat().st_mtime)
        if (workspace / stage).is_dir():
            found[stage] = workspace / stage
        elif work:
            found[stage] = work[-1]
    return found


def _recipe(path: Path) -> Recipe | None:
    if not path.exists():
        return None
    try:
        return load_recipe(str(path))
    except InputError:
        # A run of an older version: its records are still worth reading.
        return None


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""
