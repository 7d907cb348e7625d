"""The running Python installation as a corpus: offline, and enough for a first run.

``code``: the standard library's sources. ``reference``: the language reference's topics and the library's docstrings,
read from the sources without importing them. ``web``: the long descriptions of the installed distributions.
"""

import ast
import functools
import importlib.metadata
import platform
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from altiplano.corpus.readers.charsets.decoding import decode
from altiplano.corpus.readers.raw import BadRecord, RawDocument

SKIPPED = {
    "site-packages", "dist-packages", "test", "tests", "idlelib", "lib2to3", "turtledemo", "ensurepip", "__pycache__",
}  # fmt: skip
TOPICS = "pydoc_data/topics.py"


def files(kind: str) -> list[tuple[str, int]]:
    """``(name, size in bytes)`` of what this installation holds of the kind, sorted by name."""
    if kind == "web":
        return sorted((name, len(text.encode())) for name, text in _descriptions().items())
    root = library()
    found = []
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).parts
        generated = parts[0].startswith(("config-", "_sysconfigdata", "lib-dynload"))  # they hold this machine's paths
        if not (SKIPPED & set(parts[:-1]) or generated) and path.is_file():
            name = "/".join(parts)
            if kind == "reference" or name != TOPICS:
                found.append((name, path.stat().st_size))
    return found


def library() -> Path:
    return Path(sysconfig.get_paths()["stdlib"])


def installation() -> dict[str, object]:
    """What determines the documents."""
    names = {f"{_name(d)}=={d.version}" for d in importlib.metadata.distributions() if d.metadata["Name"]}
    return {"python": platform.python_version(), "distributions": sorted(names)}


def read(kind: str, name: str) -> Iterator[RawDocument | BadRecord]:
    place = f"python/{kind}/{name}"
    if kind == "web":
        text = _descriptions().get(name, "")
        if text:
            yield RawDocument(place, f"https://pypi.org/project/{name}/", "text", text, len(text.encode()))
        return
    try:
        data = (library() / name).read_bytes()
    except OSError as error:
        yield BadRecord("unreadable file", f"{place}: {error.strerror}")
        return
    text, repair = decode(data)
    if repair:
        yield BadRecord(repair, place, lost=False)
    if kind == "code":
        yield RawDocument(place, place, "code", text, len(data), "python")
        return
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError) as error:
        yield BadRecord("source that does not parse", f"{place}: {error}")
        return
    for title, body in _topics(tree) if name == TOPICS else [(name, _docstrings(tree, name))]:
        if body:
            yield RawDocument(
                f"{place}#{title}", f"{place}#{title}", "text", body, len(body.encode("utf-8", "replace"))
            )


def _name(distribution: importlib.metadata.Distribution) -> str:
    return distribution.metadata["Name"].lower().replace("_", "-")


@functools.cache
def _descriptions() -> dict[str, str]:
    found = {}
    for distribution in importlib.metadata.distributions():
        if not distribution.metadata["Name"]:
            continue
        metadata: Any = distribution.metadata  # an e-mail message; its type says less than that
        payload = metadata.get_payload()
        text = metadata.get("Description") or (payload if isinstance(payload, str) else "")
        if text.strip() and text.strip() != "UNKNOWN":
            found[_name(distribution)] = text.encode("utf-8", "replace").decode("utf-8")
    return found


def _topics(tree: ast.Module) -> list[tuple[str, str]]:
    """``topics = {"assert": "...", ...}`` of pydoc_data."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict):
            return sorted(ast.literal_eval(node.value).items())
    return []


def _docstrings(tree: ast.Module, name: str) -> str:
    """One page per module: its docstring, then each public class and function with its signature and docstring."""
    module = name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    parts = [f"# {module}", ast.get_docstring(tree) or ""]
    parts += _entries(tree.body, "")
    return "\n\n".join(part for part in parts if part) if len(parts) > 2 or parts[1] else ""


def _entries(body: list[ast.stmt], prefix: str) -> list[str]:
    found = []
    for node in body:
        if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) or node.name.startswith("_"):
            continue
        text = ast.get_docstring(node)
        if isinstance(node, ast.ClassDef):
            found += [f"## class {prefix}{node.name}\n\n{text}"] if text else []
            found += _entries(node.body, f"{prefix}{node.name}.")
        elif text:
            found.append(f"## {prefix}{node.name}({ast.unparse(node.args)})\n\n{text}")
    return found
