"""What makes a result another one: the code of a checkout, and functions that a Python program gave."""

import ast
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from stages.test_stage import FIRST, context

from altiplano.errors import InputError
from altiplano.stages import stage
from altiplano.stages.run import STAGES
from altiplano.stages.stage import Stage, code_version, read_manifest, run_stage
from altiplano.version import __version__


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of this package's corpus and tokens as a checkout has them."""
    package = tmp_path / "src" / "altiplano"
    (package / "stages").mkdir(parents=True)
    (tmp_path / "pyproject.toml").touch()
    for name in ("corpus", "tokens"):
        shutil.copytree(Path(stage.__file__).parents[1] / name, package / name, ignore=lambda *_: ["__pycache__"])
    monkeypatch.setattr(stage, "__file__", str(package / "stages" / "stage.py"))
    code_version.cache_clear()
    yield package
    code_version.cache_clear()


def test_changed_code_is_noticed_in_a_checkout(checkout: Path) -> None:
    before = code_version(("corpus",)), code_version(("tokens",))
    assert before[0].startswith(f"{__version__}+") and before[0] != before[1]
    code_version.cache_clear()
    (checkout / "corpus" / "__pycache__").mkdir()
    (checkout / "corpus" / "__pycache__" / "words.pyc").touch()
    assert (code_version(("corpus",)), code_version(("tokens",))) == before
    code_version.cache_clear()
    changed = checkout / "corpus" / "words.py"
    changed.write_text(changed.read_text() + "\nMORE = 1\n")
    assert code_version(("corpus",)) != before[0]
    assert code_version(("tokens",)) == before[1]


def test_an_installed_package_has_its_version_only(checkout: Path) -> None:
    (checkout.parents[1] / "pyproject.toml").unlink()
    assert code_version(("corpus", "tokens")) == __version__


ELSEWHERE = {
    "stages",
    "records",
    "errors",
    "storage",
    "progress",
    "peak_memory",
    "formatting",
    "optional_imports",
    "version",
}
"""What every stage uses and what changes no result; the shape of files has a version of its own."""


def imported(module: str, seen: set[str]) -> set[str]:
    """The modules of this package that ``module`` imports, wherever it does, and those that they import."""
    root = Path(stage.__file__).parents[2]
    path = root / (module.replace(".", "/") + ".py")
    path = path if path.exists() else root / module.replace(".", "/") / "__init__.py"
    if module in seen or not path.exists():
        return seen
    seen.add(module)
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("altiplano."):
            for name in (node.module, *(f"{node.module}.{one.name}" for one in node.names)):
                if name not in ("altiplano.stages.stage", "altiplano.stages.run"):
                    imported(name, seen)
    return seen


@pytest.mark.parametrize("one", STAGES, ids=lambda one: one.name)
def test_a_stage_names_every_package_whose_code_it_runs(one: Stage) -> None:
    modules = imported(f"altiplano.stages.{one.name}", set())
    packages = {module.split(".")[1] for module in modules if module.count(".")} - ELSEWHERE
    assert packages == set(one.code)


def test_functions_of_a_program_stay_until_something_else_changes(tmp_path: Path) -> None:
    given = {"hash": ""}
    own: Stage = replace(FIRST, functions=lambda context: given["hash"])
    given["hash"] = "one"
    made = run_stage(own, context(tmp_path))
    assert not made.skipped and made.manifest.inputs == {"functions": "one"}
    assert run_stage(own, context(tmp_path)).skipped

    given["hash"] = ""  # a command has no functions
    assert run_stage(own, context(tmp_path)).skipped
    with pytest.raises(InputError, match="functions of a Python program and is out of date"):
        run_stage(own, context(tmp_path, "seed=5"))

    given["hash"] = "two"  # the program was edited
    assert not run_stage(own, context(tmp_path)).skipped
    given["hash"] = ""
    assert not run_stage(own, context(tmp_path), force=True).skipped
    published = read_manifest(tmp_path / "first")
    assert published is not None and published.inputs == {}
