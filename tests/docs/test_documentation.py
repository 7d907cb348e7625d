"""The documentation builds without a warning, has every key, option and target, and no link leads nowhere."""

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from printed import subcommands
from pydantic import BaseModel, Field

from altiplano.recipe.cluster import Cluster
from altiplano.recipe.schema import Recipe
from altiplano.records import SCHEMAS

ROOT = Path(__file__).parents[2]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
GENERATED = {"command-line.md", "recipe.md", "cluster.md", "python.md", "index.md", "security.md", "changelog.md"}
FENCE = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs/generate.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_site_builds_with_warnings_as_errors(tmp_path: Path) -> None:
    pytest.importorskip("material", reason="mkdocs-material is not installed: make docs installs it")
    pytest.importorskip("mkdocstrings", reason="mkdocstrings is not installed: make docs installs it")
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert (tmp_path / "reference/recipe.html").exists() and (tmp_path / "search").is_dir()


@pytest.mark.parametrize(("model", "prefix", "page"), [(Recipe, "", "recipe"), (Cluster, "cluster.", "cluster")])
def test_every_key_is_in_the_reference_and_explained(
    generate: ModuleType, model: type[BaseModel], prefix: str, page: str
) -> None:
    text = {"recipe": generate.recipe_keys, "cluster": generate.cluster_keys}[page]()
    for key in generate.keys(model):
        row = re.search(rf'^\| <span id="{re.escape(key)}"></span>.*\| (.+) \|$', text, re.MULTILINE)
        assert row is not None, f"{key} is not explained: give its field a description, or docs/reference/keys.toml"


def test_notes_are_of_keys_that_exist(generate: ModuleType) -> None:
    known = {*generate.keys(Recipe), *(f"cluster.{key}" for key in generate.keys(Cluster))}
    assert set(generate.key_notes()) <= known
    for key, note in generate.key_notes().items():
        assert set(note) <= {"what", "unit", "like"}, key


def test_every_command_and_option_is_in_the_reference(generate: ModuleType) -> None:
    text = generate.command_line()
    for name, parser in subcommands().items():
        part = text.partition(f"## altiplano {name}\n")[2].partition("\n## ")[0]
        for option in parser._option_string_actions:
            assert option in ("-h", "--help") or f"`{option}" in part, f"{name} {option}"


def test_file_formats_follow_the_schemas(generate: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    class Interval(BaseModel):
        low: float = Field(description="lower end")

    class Score(BaseModel):
        """One score."""

        value: float | None = Field(None, description="nats per token")
        groups: dict[str, Interval] = Field({}, description="by domain")

    monkeypatch.setattr(generate, "SCHEMAS", {"score.json": Score})
    text = generate.file_formats()
    assert (
        "### `score.json` { #scorejson }" in text
        and "**`groups`**" in text
        and "| `value` | number or null | nats per token. |" in text
    )
    assert "| `groups` | object: string → object | by domain. |" in text and "lower end" in text


def test_every_file_has_its_json_schema_beside_the_page(generate: ModuleType) -> None:
    pages, page = generate.pages(), generate.file_formats()
    for place, model in SCHEMAS.items():
        name = generate.schema_file(place)
        assert f"({name})" in page, place
        schema = json.loads(pages[f"reference/{name}"])
        assert schema == model.model_json_schema() and (schema.get("properties") or schema.get("items")), place


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_relative_links_lead_somewhere(page: Path) -> None:
    for link in LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
        place = link.partition("#")[0]
        if not place or "://" in place or Path(place).name in GENERATED:
            continue
        assert (page.parent / place).exists(), f"{link} in {page.relative_to(ROOT)}"


def test_every_page_is_in_the_navigation() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text()
    for page in (ROOT / "docs").rglob("*.md"):
        assert page.relative_to(ROOT / "docs").as_posix() in navigation


def targets() -> set[str]:
    (phony,) = re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    return set(phony.split())


def make_help() -> str:
    """What `make` alone prints; also when make itself runs the tests, whose variables would change it."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    return subprocess.run(["make"], cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout


def test_make_help_is_the_default_and_lists_every_target() -> None:
    shown = make_help()
    listed = dict(re.findall(r"^make ([a-z-]+) +# (.+)$", shown, re.MULTILINE))
    assert len(listed) == len(shown.splitlines())
    assert set(listed) == targets()


def test_the_readme_says_of_targets_what_make_help_says() -> None:
    listed = [" ".join(line.split()) for line in make_help().splitlines()]
    readme = [" ".join(line.split()) for line in (ROOT / "README.md").read_text().splitlines()]
    assert [line for line in listed if line not in readme] == []


def test_continuous_integration_runs_targets_that_exist() -> None:
    workflow = (ROOT / ".github/workflows/ci.yml").read_text()
    used = set(re.findall(r"run: make ([\w-]+)", workflow))
    assert {"lint", "test", "docs"} <= used <= targets()
