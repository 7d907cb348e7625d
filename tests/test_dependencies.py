"""What is installed beside the package: locked by hash, under licences that allow its use, and used."""

import ast
import re
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXTRAS = ("corpus", "dev")
LOCKED = {
    extra: dict(re.findall(r"^([A-Za-z0-9._-]+)==(\S+)", (ROOT / f"requirements/{extra}.txt").read_text(), re.M))
    for extra in EXTRAS
}
ALLOWED = re.compile(
    r"MIT|BSD|Apache|ISC|PSF|Python Software|Python-2|MPL|Mozilla|Unlicense|CC0|Zlib|LGPL|Lesser General|DFSG",
    re.IGNORECASE,
)
COPYLEFT = re.compile(r"\bA?GPL|(?<!Lesser )General Public License|Affero", re.IGNORECASE)
NEEDED_BY = {
    "accelerate": "transformers, to read GGUF",
    "aiohttp": "fsspec, to read https://",
    "lxml-html-clean": "trafilatura, through lxml.html.clean",
    "pyopenssl": "model-signing, which does not say so",
}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.parametrize("extra", EXTRAS)
def test_every_line_of_the_lock_has_a_hash(extra):
    blocks = re.split(r"\n(?=\S)", (ROOT / f"requirements/{extra}.txt").read_text().strip())
    assert len(blocks) == len(LOCKED[extra]) > 50
    assert all(re.search(r"--hash=sha256:[0-9a-f]{64}", block) for block in blocks)
    assert not any("://" in block for block in blocks)


def test_the_locks_agree_with_one_another_and_with_the_constraints():
    wanted = dict(re.findall(r"^([A-Za-z0-9._-]+)==(\S+)", (ROOT / "constraints.txt").read_text(), re.M))
    wanted = {normal(name): version for name, version in wanted.items()}
    assert LOCKED["corpus"].items() <= LOCKED["dev"].items()
    assert not {
        name: version for name, version in LOCKED["dev"].items() if wanted.get(normal(name), version) != version
    }


def test_what_pyproject_asks_for_is_locked():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for extra in EXTRAS:
        asked = project["dependencies"] + project["optional-dependencies"][extra]
        names = {normal(re.match(r"[A-Za-z0-9._-]+", one)[0]) for one in asked}
        assert names - {normal(name) for name in LOCKED[extra]} <= {"torch", "altiplano"}, extra


def test_licences_of_what_a_run_needs_allow_its_use():
    """Of the installed packages; weak copyleft (MPL, LGPL) is imported, never changed."""
    refused = {}
    for name in LOCKED["corpus"]:
        try:
            found = metadata.metadata(name)
        except metadata.PackageNotFoundError:  # of another platform
            continue
        stated = found.get("License-Expression") or " ".join(
            [found.get("License") or "", *(one for one in found.get_all("Classifier") or () if one.startswith("Lic"))]
        )
        if not ALLOWED.search(stated) or (COPYLEFT.search(stated) and " OR " not in stated):
            refused[name] = stated[:200]
    assert not refused


def test_every_dependency_is_used():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = project["dependencies"] + [
        line
        for extra, lines in project["optional-dependencies"].items()
        if extra not in ("dev", "docs", "oracles")
        for line in lines
    ]
    names = {normal(re.match(r"[A-Za-z0-9._-]+", line)[0]) for line in lines} - {"altiplano"}
    modules: dict[str, set[str]] = {}
    for module, distributions in metadata.packages_distributions().items():
        for one in distributions:
            modules.setdefault(normal(one), set()).add(module)
    imported = set()
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {one.name.partition(".")[0] for one in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                imported.add(node.module.partition(".")[0])
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                imported.add(node.value.partition(".")[0])  # importlib, and libraries that ask for one another
    unused = {name for name in names if name in modules and not modules[name] & imported} - NEEDED_BY.keys()
    assert not unused
