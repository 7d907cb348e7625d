"""A release of a real run, from the samples to its signature: built once, and copied for every test."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from once import built_once
from small import SMALL

from altiplano.recipe.cluster import Cluster
from altiplano.recipe.layout import Layout
from altiplano.recipe.load import load_cluster, load_recipe
from altiplano.recipe.schema import Recipe
from altiplano.release.signing import make_key, sign
from altiplano.stages.release import STAGE
from altiplano.stages.stage import Context, run_stage

ROOT = Path(__file__).parents[1]
SETTINGS = [one for one in SMALL if "benchmarks" not in one]
SETTINGS += ["model.num_hidden_layers=2", "calibration.max_tokens=4096", "evaluation.max_tokens=2048"]
SETTINGS += ["batch.sequence_length=256", "batch.tokens=4096", "batch.total_tokens=40960"]
SETTINGS += [
    "checkpoint.retain_steps=5",
    "redteam.extraction_prefix=16",
    "redteam.extraction_suffix=16",
    "redteam.extraction_samples=50",
    "redteam.trials=20",
    "redteam.mode_trials=2",
]
CLUSTER = 'name = "test"\ndevice = "cpu"\nwatts_per_device = 45.0\npue = 1.2\ncountry = "FRA"\n'
STATED = """
[disclosure]
title = "A model of a magazine"
license = "Apache-2.0"

[release]
provider = "Example Press"
contact = "models@press.example"
security_contact = "security@press.example"
incident_contact = "incidents@press.example"
market_date = "2026-11-01"
code_of_practice = true

[[release.sources]]
name = "samples-web"
kind = "crawled"
title = "The magazine | its archive"
url = "https://magazine.example/"
license = "CC-BY-4.0"
obtained = "2026-01 to 2026-03"

[[release.sources]]
name = "samples-code"
kind = "public"
license = "MIT OR Apache-2.0"

[[release.sources]]
name = "samples-glossary"
kind = "licensed"
license = "A licence of their own"
"""


@dataclass(frozen=True)
class Released:
    """A workspace with a signed release, and the keys, which lie beside it."""

    workspace: Path
    private: Path
    public: Path

    @property
    def folder(self) -> Path:
        return self.workspace / "release"

    @property
    def recipe(self) -> Recipe:
        return load_recipe(self.workspace.parent / "recipe.toml")

    def release(self, recipe: Recipe | None = None, cluster: Cluster | None = None) -> None:
        """Release again, with other settings of the release."""
        found = cluster or load_cluster(str(self.workspace.parent / "cluster.toml"))
        context = Context(recipe or self.recipe, found, Layout(), self.workspace, self.workspace, {})
        run_stage(STAGE, context, force=True)
        sign(self.folder, self.private)

    def copy(self, place: Path, whole: bool = False) -> "Released":
        """The release alone in ``place``, or the whole run."""
        if whole:
            shutil.copytree(self.workspace, place / "run")
            for name in ("recipe.toml", "cluster.toml"):
                shutil.copyfile(self.workspace.parent / name, place / name)
        else:
            shutil.copytree(self.folder, place / "run" / "release")
        return Released(place / "run", self.private, self.public)


@pytest.fixture(scope="session")
def first_release(tmp_path_factory: pytest.TempPathFactory) -> Released:
    return released_once(tmp_path_factory)


def released_once(factory: pytest.TempPathFactory) -> Released:
    """The release that all tests share: none of them writes in it."""
    pytest.importorskip("pyarrow")
    pytest.importorskip("model_signing", reason='not installed: pip install "altiplano[release]"')
    return in_place(built_once(factory, "first-release", build))


def in_place(place: Path) -> Released:
    return Released(place / "run", place / "release.key", place / "release.key.pub")


@pytest.fixture
def released(first_release: Released, tmp_path: Path) -> Released:
    """A copy of the release's folder that may be changed."""
    return first_release.copy(tmp_path)


def build(place: Path) -> None:
    place.mkdir()
    found = in_place(place)
    recipe = (ROOT / "recipes" / "quickstart.toml").read_text()
    sections = re.split(r"(?=\[\[corpus\.sources\]\])", recipe)
    own = "".join(one for one in sections if 'format = "python"' not in one)
    own = own.replace('"../samples', f'"{ROOT / "samples"}')
    (place / "given.toml").write_text(own + STATED)
    (place / "cluster.toml").write_text(CLUSTER)
    settings = [part for value in SETTINGS for part in ("--set", value)]
    shown = altiplano(place, "recipe", "show", "given.toml", *settings)
    (place / "recipe.toml").write_text(shown)
    altiplano(place, "release", "recipe.toml", "--cluster", "cluster.toml", "--workspace", "run")
    make_key(found.private)
    sign(found.folder, found.private)


def altiplano(folder: Path, *arguments: str) -> str:
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "altiplano", *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout
