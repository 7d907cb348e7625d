"""Reading recipes and clusters from TOML, with overrides, and turning every mistake into one line."""

import difflib
import tomllib
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from altiplano.errors import InputError
from altiplano.recipe.cluster import Cluster
from altiplano.recipe.schema import CorpusConfig, Recipe

Settings = TypeVar("Settings", bound=BaseModel)

RENAMED = {
    "model.layers": "num_hidden_layers",
    "model.width": "hidden_size",
    "model.heads": "num_attention_heads",
    "model.kv_heads": "num_key_value_heads",
    "model.ffn_width": "intermediate_size",
    "model.vocabulary": "vocab_size",
    "model.norm_eps": "rms_norm_eps",
    "model.tied_embeddings": "tie_word_embeddings",
    "model.init_std": "initializer_range",
    "model.rope_scaling.original_context": "original_max_position_embeddings",
    "optimizer.clip_norm": "max_grad_norm",
    "redteam.max_attack_success": "gate.limit",
}
"""Keys that had another name in recipes written before the first release."""

PACKAGE = Path(__file__).parents[1]


def shipped(folder: str) -> Path:
    """The ``recipes`` or ``clusters`` that came with Altiplano, from a checkout or an installed wheel."""
    checkout = PACKAGE.parents[1] / folder
    return checkout if (PACKAGE.parents[1] / "pyproject.toml").exists() else PACKAGE / folder


def find(name: str, folder: str) -> Path:
    """A file by path, or one of the shipped presets by name. Raises InputError when there is neither."""
    path = Path(name)
    if path.is_file():
        return path
    preset = shipped(folder) / f"{name}.toml"
    if preset.is_file():
        return preset
    presets = ", ".join(sorted(p.stem for p in shipped(folder).glob("*.toml")))
    raise InputError(f"{name}: no such file, and not one of the {folder} that come with Altiplano: {presets}")


def load_recipe(name: str | Path, overrides: Sequence[str] | Mapping[str, Any] = ()) -> Recipe:
    """Read and check a recipe: a file, or one that comes with Altiplano by its name.

    ``overrides`` are ``section.key=value`` as given to ``--set``, or values by ``section.key``.

    Relative ``corpus.root``, ``evaluation.benchmarks`` and ``redteam.known`` in the file are taken from the file's
    folder, those in an override from the current folder. A file that says ``extends = "OTHER.toml"``, from its folder,
    has that recipe's values where it has none of its own.
    """
    path = find(str(name), "recipes")
    values = _read_recipe(path, ())
    if isinstance(overrides, Mapping):
        for key, value in overrides.items():
            _set(values, key, value, f"{key} = {value!r}")
    else:
        for override in overrides:
            _apply(values, override)
    return check(Recipe, values, str(path))


def _read_recipe(path: Path, extending: tuple[Path, ...]) -> dict[str, Any]:
    """``extending`` are the files that this one is read for. Raises InputError when it is one of them."""
    values = read_toml(path)
    for section, key in (("corpus", "root"), ("redteam", "known")):
        found = values.get(section)
        if isinstance(found, dict) and isinstance(found.get(key), str):
            found[key] = str((path.parent / found[key]).resolve())
    evaluation = values.get("evaluation")
    if isinstance(evaluation, dict) and isinstance(evaluation.get("benchmarks"), list):
        evaluation["benchmarks"] = [str((path.parent / str(one)).resolve()) for one in evaluation["benchmarks"]]
    if "extends" not in values:
        return values
    extended = values.pop("extends")
    if not isinstance(extended, str):
        raise InputError(f'{path}: extends = {extended!r} is no file: name a recipe\'s, such as "llama-3.1-8b.toml"')
    if "name" not in values:
        raise InputError(f"{path}: name is missing: with that of {extended} it would take the other's folder in runs")
    base = path.parent / extended
    if not base.is_file():
        beside = sorted(file.name for file in base.parent.glob("*.toml") if file.resolve() != path.resolve())
        close = difflib.get_close_matches(base.name, beside, n=1)
        hint = f"; did you mean {Path(extended).parent / close[0]}?" if close else ""
        raise InputError(f'{path}: extends = "{extended}": {base} is no file{hint}')
    if base.resolve() in (known := (*extending, path.resolve())):
        raise InputError(f"{path}: extends {base}, which extends this file")
    return _merged(_read_recipe(base, known), values)


def _merged(base: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """Sections key by key; anything else, lists too, is taken whole."""
    both = {key: (base[key], own[key]) for key in base.keys() & own.keys()}
    sections = {key: _merged(*pair) for key, pair in both.items() if all(isinstance(one, dict) for one in pair)}
    return base | own | sections


FORMATS = (
    "warc", "latex", "jats", "mediawiki", "jsonl", "parquet", "text", "code",
    "epub", "pdf", "zim", "openalex", "arxiv-metadata", "python",
)  # fmt: skip
"""Of raw files, that the package reads itself (``corpus.sources.format``)."""


def check_formats(corpus: CorpusConfig, readers: Collection[str]) -> None:
    """Raise InputError for a source whose format neither we nor the caller's ``readers`` can read."""
    if taken := sorted(set(readers) & set(FORMATS)):
        raise InputError(f"readers: {taken[0]!r} is a built-in format; give your reader another name")
    for source in corpus.sources:
        if source.format not in (*FORMATS, *readers):
            raise InputError(
                f"corpus.sources {source.name!r}: format must be {', '.join(FORMATS[:-1])} or {FORMATS[-1]}, "
                f"or that of a reader given to curate() in Python, not {source.format!r}"
            )


def load_cluster(name: str) -> Cluster:
    path = find(name, "clusters")
    return check(Cluster, read_toml(path), str(path))


def read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text (byte {error.start}); save the file as UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path}: not TOML: {error}") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error


def _apply(values: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key.strip().rpartition(".")[2]:
        raise InputError(f"--set {override}: write it as section.key=value, such as optimizer.learning_rate=3e-4")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    _set(values, key.strip(), value, f"--set {override}")


def _set(values: dict[str, Any], key: str, value: Any, spelling: str) -> None:
    *sections, last = key.split(".")
    for section in sections:
        values = values.setdefault(section, {})
        if not isinstance(values, dict):
            raise InputError(f"{spelling}: {section} is not a section")
    if key in ("corpus.root", "redteam.known") and isinstance(value, str | Path):
        value = str(Path.cwd() / value)
    if key == "evaluation.benchmarks" and isinstance(value, list | tuple):
        value = [str(Path.cwd() / one) for one in value]
    values[last] = value


def check(kind: type[Settings], values: dict[str, Any], origin: str) -> Settings:
    """``values`` as a record. Raises InputError that names the first wrong key and ``origin``."""
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        # A misspelt key first: it may be why another one is missing.
        details = sorted(error.errors(), key=lambda detail: detail["type"] != "extra_forbidden")
        problems = [_explain(kind, detail) for detail in details]
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise InputError(f"{origin}: {problems[0]}{more}") from error


def _explain(kind: type[BaseModel], detail: ErrorDetails) -> str:
    key = ".".join(str(part) for part in detail["loc"])
    if detail["type"] == "extra_forbidden":
        if key in RENAMED:
            return f"{key} is now called {RENAMED[key]}"
        known = sorted(_known_keys(kind, detail["loc"][:-1]))
        close = difflib.get_close_matches(str(detail["loc"][-1]), known, n=1)
        hint = f"did you mean {close[0]}?" if close else f"known keys: {', '.join(known)}"
        return f"{key} is not a known key; {hint}"
    if detail["type"] == "missing":
        return f"{key} is missing"
    message = detail["msg"].removeprefix("Value error, ")
    given = detail["input"]
    shown = f" (given {given!r})" if key and isinstance(given, str | int | float) and repr(given) not in message else ""
    return f"{key}: {message}{shown}" if key else message


def _known_keys(kind: type[BaseModel], location: Sequence[int | str]) -> Iterator[str]:
    """The keys of the section at ``location`` below ``kind``."""
    for part in location:
        if isinstance(part, str) and part in kind.model_fields:
            kind = next(_sections_in(kind.model_fields[part].annotation), kind)
    return iter(kind.model_fields)


def _sections_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if get_origin(annotation) in (Union, UnionType, tuple):
        for argument in get_args(annotation):
            yield from _sections_in(argument)
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
