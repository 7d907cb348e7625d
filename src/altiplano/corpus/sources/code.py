"""Source code: a folder or an archive of projects, without what nobody wrote there and what a licence forbids."""

import json
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path, PurePosixPath

from altiplano.corpus.sources import licence
from altiplano.corpus.sources.archive import is_archive, members
from altiplano.corpus.sources.code_language import language_of, may_be_code, not_written
from altiplano.corpus.sources.decoding import decode
from altiplano.corpus.sources.opening import File
from altiplano.corpus.sources.raw import Bad, Raw, left_out

Licences = str | tuple[str, ...]


def read(path: File, place: str, allowed: Licences = "any") -> Iterator[Raw | Bad]:
    licences = {} if allowed == "any" else _licences(path, place)
    for member in members(path, place, may_be_code):
        if isinstance(member, Bad):
            yield member
            continue
        name, data = member
        if b"\0" in data:
            if language_of(name):
                yield Bad("binary file", name)
            continue
        text, repair = decode(data)
        language = language_of(name, text)
        if not language:
            continue
        if why := not_written(name, text):
            yield left_out(why, name)
            continue
        found = licence.declared(text) or _nearest(licences, name)
        if not licence.is_allowed(found, allowed):
            yield left_out(f"licence {found}" if found != licence.UNKNOWN else found, name)
            continue
        if repair:
            yield Bad(repair, name, lost=False)
        if language == "notebook":
            yield _notebook(name, text, len(data))
        else:
            yield Raw(name, name, "code", text, len(data), language)


def _licences(path: File, place: str) -> dict[str, str]:
    """Folder → licence, from the archive's licence files, or from those in the folders above a plain file."""
    found: dict[str, str] = {}
    if is_archive(path.name):
        for each in members(path, place, licence.is_licence_file):
            if not isinstance(each, Bad):
                folder = str(PurePosixPath(each[0]).parent)
                found[folder] = licence.strictest(found.get(folder, ""), licence.detect(decode(each[1])[0]))
    elif isinstance(path, Path):
        for folder_path, name in zip(path.parents, PurePosixPath(place).parents, strict=False):
            if kind := _licence_in(folder_path):
                found[str(name)] = kind
    return found


@lru_cache(maxsize=4096)  # a folder's files follow one another
def _licence_in(folder: Path) -> str:
    """Empty when the folder holds no licence file."""
    found = ""
    try:
        for each in sorted(folder.iterdir()):
            if licence.is_licence_file(each.name) and each.is_file():
                found = licence.strictest(found, licence.detect(decode(each.read_bytes())[0]))
    except OSError:  # not ours to look into
        pass
    return found


def _nearest(licences: dict[str, str], name: str) -> str:
    return next((licences[str(p)] for p in PurePosixPath(name).parents if str(p) in licences), licence.UNKNOWN)


def _notebook(name: str, text: str, size: int) -> Raw | Bad:
    """A Jupyter notebook as Markdown with fenced code; outputs and metadata go."""
    try:
        notebook = json.loads(text)
        language = notebook.get("metadata", {}).get("kernelspec", {}).get("language", "python").lower()
        parts = []
        for cell in notebook["cells"]:
            source = cell["source"] if isinstance(cell["source"], str) else "".join(cell["source"])
            if source.strip():
                parts.append(f"```{language}\n{source}\n```" if cell["cell_type"] == "code" else source)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        return Bad("malformed notebook", f"{name}: {error}")
    body = "\n\n".join(parts).encode("utf-8", "replace").decode("utf-8")
    return Raw(name, name, "code", body, size, language)
