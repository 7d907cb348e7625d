"""Benchmarks are run by hand: here, that what they import is there, and that the one of training takes its steps."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# .cache has other projects' environments, once a benchmark has run
FILES = sorted(path for path in (ROOT / "benchmarks").rglob("*.py") if ".cache" not in path.parts)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_what_a_benchmark_imports_of_this_package_is_there(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("altiplano"):
            module = importlib.import_module(str(node.module))
            for one in node.names:
                if not hasattr(module, one.name):
                    importlib.import_module(f"{node.module}.{one.name}")


def test_every_size_is_a_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    from sizes import SIZES, benchmark_recipe

    for size, (layers, width, *_) in SIZES.items():
        model = benchmark_recipe(size, sequence=128, rows=2).model
        assert (model.num_hidden_layers, model.hidden_size) == (layers, width)


@pytest.mark.slow
def test_contenders_take_the_same_steps() -> None:
    """Its smoke test exits with 1 when a contender computes another first loss."""
    command = [sys.executable, "benchmarks/training.py", "--quick"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
