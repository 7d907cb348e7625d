"""Other projects in virtual environments of their own, made once under ``benchmarks/.cache``."""

import hashlib
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

CACHE = Path(__file__).parents[1] / ".cache"
PACKAGES = (
    "datatrove[processing,io]==0.10.1",
    "lxml_html_clean",  # trafilatura 1.x imports it, but lxml 6 no longer brings it
    "spacy",  # imported for every language, "en" too
    "orjson",
)
"""No ``[multilingual]``: that pulls tensorflow and a CUDA torch that none of the stages uses."""


def interpreter(project: str = "datatrove", packages: Sequence[str] = PACKAGES) -> Path:
    """The environment's Python; installs it at the first call, which takes a minute."""
    name = hashlib.sha256("\n".join((sys.version, *packages)).encode()).hexdigest()[:12]
    folder = CACHE / f"{project}-{name}"
    python, ready = folder / "bin" / "python", folder / "ready"
    if not ready.exists():
        print(f"installing {packages[0]} into {folder}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, *packages], check=True)
        ready.touch()
    return python
