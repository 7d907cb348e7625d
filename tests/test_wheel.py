"""What an installed wheel holds: the shipped recipes find what they read outside a checkout too."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytest.importorskip("hatchling", reason="hatchling is not installed")

ROOT = Path(__file__).parents[1]
WITHOUT_EXTRAS = """
import sys
from altiplano.optional_imports import CURATION

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in CURATION:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
from altiplano.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel unpacked, as an installer would."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=120)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def run(installed: Path, cwd: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    return subprocess.run(
        [sys.executable, *command], cwd=cwd, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


def test_the_wheel_has_recipes_clusters_and_every_sample(installed):
    for folder in ("recipes", "clusters", "samples"):
        ours = {p.relative_to(ROOT).as_posix() for p in (ROOT / folder).rglob("*") if p.is_file()}
        tracked = {name for name in ours if "__pycache__" not in name}
        there = {
            p.relative_to(installed / "altiplano").as_posix() for p in (installed / "altiplano" / folder).rglob("*")
        }
        assert tracked and tracked <= there


def test_the_wheel_has_every_file_of_the_package(installed):
    """Templates, styles, scripts, data tables and the marker of typed packages, not only Python."""
    package = ROOT / "src/altiplano"
    ours = {p.relative_to(package) for p in package.rglob("*") if p.is_file() and "__pycache__" not in p.parts}
    there = {p.relative_to(installed / "altiplano") for p in (installed / "altiplano").rglob("*") if p.is_file()}
    assert ours <= there
    kinds = {path.suffix for path in ours}
    assert {".py", ".j2", ".jinja", ".css", ".js", ".toml", ".csv", ".json", ".txt"} <= kinds


def test_the_quickstart_finds_its_samples_outside_a_checkout(installed, tmp_path):
    found = run(installed, tmp_path, "-m", "altiplano", "recipe", "show", "quickstart")
    assert found.returncode == 0, found.stderr
    (root,) = (line for line in found.stdout.splitlines() if line.startswith("root = "))
    samples = Path(root.partition("=")[2].strip().strip('"'))
    assert samples == installed / "altiplano" / "samples" and list(samples.glob("web/*.warc.gz"))
    code = (
        "from altiplano.recipe.load import load_recipe; from altiplano.corpus.readers.listing import plan\n"
        "print(len(plan(load_recipe('quickstart').corpus)))"
    )
    listed = run(installed, tmp_path, "-c", code)
    assert listed.returncode == 0 and int(listed.stdout) > 5, listed.stderr


@pytest.mark.parametrize("question", [[], ["--documents"], ["abc"], ["--tokens", "web.en"]])
def test_inspect_without_the_extra_is_one_line_that_names_it(tmp_path, question):
    (tmp_path / "curate").mkdir()
    found = run(ROOT / "src", tmp_path, "-c", WITHOUT_EXTRAS, "inspect", str(tmp_path), *question)
    assert found.returncode != 0 and found.stdout == ""
    assert found.stderr.strip().count("\n") == 0 and "altiplano inspect needs" in found.stderr
    assert "altiplano[corpus]" in found.stderr
