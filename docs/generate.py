"""Pages of the documentation that are generated, as a hook of MkDocs: nothing that it makes is committed.

The command line comes from the argument parser, recipe and cluster keys from the pydantic schemas and ``keys.toml``
(units, and what other projects call a key), file formats and their JSON Schemas from ``altiplano.records.SCHEMAS``, the
Python API from ``altiplano.__all__``. CONTRIBUTING.md, SECURITY.md and CHANGELOG.md are shown as pages, too.
"""

import argparse
import inspect
import json
import os
import re
import sys
import tomllib
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "src"))
os.environ["NO_COLOR"] = "1"

from altiplano.records import SCHEMAS, json_schemas  # noqa: E402

SCHEMAS_HERE = "<!-- schemas -->"
TITLES = {"__root__": "Top level"}


def on_files(files: Any, config: Any) -> Any:
    """MkDocs calls this once the files of docs/ are known."""
    from mkdocs.structure.files import File

    for name, content in pages().items():
        if (existing := files.get_file_from_path(name)) is not None:
            files.remove(existing)
        files.append(File.generated(config, name, content=content))
    return files


def pages() -> dict[str, str]:
    """Path in docs/ → Markdown, or the text of another file."""
    return {
        "reference/command-line.md": command_line(),
        "reference/recipe.md": recipe_keys(),
        "reference/cluster.md": cluster_keys(),
        "reference/file-formats.md": file_formats(),
        "reference/python.md": python_api(),
        **{
            f"reference/{schema_file(place)}": json.dumps(schema, indent=1) + "\n"
            for place, schema in json_schemas().items()
        },
        "contributing/index.md": from_root("CONTRIBUTING.md"),
        "contributing/security.md": from_root("SECURITY.md"),
        "contributing/changelog.md": from_root("CHANGELOG.md"),
    }


def from_root(name: str) -> str:
    """A page of the repository's root, its links as they are from docs/contributing/."""
    text = (ROOT / name).read_text(encoding="utf-8")
    places = {
        "CONTRIBUTING.md": "index.md",
        "SECURITY.md": "security.md",
        "CHANGELOG.md": "changelog.md",
    }

    def moved(link: re.Match[str]) -> str:
        place, hash_mark, anchor = link[2].partition("#")
        if place in places:
            return f"[{link[1]}]({places[place]}{hash_mark}{anchor})"
        if place.startswith("docs/"):
            return f"[{link[1]}](../{place.removeprefix('docs/')}{hash_mark}{anchor})"
        if "://" in place or not place:
            return link[0]
        return link[1]  # a file of the repository that is no page

    return re.sub(r"\[([^\]]+)\]\(([^)\s]+)\)", moved, text)


# The command line


def command_line() -> str:
    from altiplano.cli import parser

    top = parser()
    (commands,) = [one for one in top._actions if isinstance(one, argparse._SubParsersAction)]
    helps = {one.dest: one.help or "" for one in commands._choices_actions}
    out = [
        "# Command line",
        "Generated from the argument parser: the same text as `altiplano COMMAND --help`.",
        "| command | what it does |\n|---|---|\n"
        + "\n".join(f"| [`{name}`](#altiplano-{name}) | {cell(helps[name])} |" for name in commands.choices),
        "Exit status: 0 done; 1 a gate failed, something does not fit, or work cannot continue; 2 bad input; "
        "130 interrupted.",
    ]
    for name, sub in commands.choices.items():
        out += list(command(name, sub))
    return "\n\n".join(out) + "\n"


def command(name: str, sub: argparse.ArgumentParser) -> Iterator[str]:
    formatter = argparse.HelpFormatter(sub.prog, width=80)
    formatter.add_usage(sub.usage, sub._actions, sub._mutually_exclusive_groups, prefix="")
    yield f"## altiplano {name}"
    yield sub.description or ""
    yield f"```text\n{formatter.format_help().strip()}\n```"
    rows = []
    for action in sub._actions:
        if not isinstance(action, argparse._HelpAction) and action.help != argparse.SUPPRESS:
            rows.append(f"| {spelling(action)} | {cell(action.help or '')} |")
    if rows:
        yield "| argument | meaning |\n|---|---|\n" + "\n".join(rows)
    yield epilog(sub.epilog or "")


def spelling(action: argparse.Action) -> str:
    value = str(action.metavar or ("|".join(map(str, action.choices)) if action.choices else action.dest.upper()))
    if not action.option_strings:
        shown = value if action.metavar or action.choices else action.dest
        return f"`{shown}`".replace("|", "\\|")
    takes = "" if action.nargs == 0 else f" {value}"
    repeated = " (repeatable)" if isinstance(action, argparse._AppendAction) else ""
    return ", ".join(f"`{one}{takes}`" for one in action.option_strings).replace("|", "\\|") + repeated


def epilog(text: str) -> str:
    """Indented lines are commands, others are sentences."""
    out: list[str] = []
    for line in text.splitlines():
        if line.startswith("  "):
            if out and out[-1].startswith("```"):
                out[-1] = out[-1].removesuffix("\n```") + f"\n{line.strip()}\n```"
            else:
                out.append(f"```sh\n{line.strip()}\n```")
        elif line.strip():
            out.append(line[0].upper() + line[1:])
    return "\n\n".join(out)


# Recipe and cluster keys


def recipe_keys() -> str:
    from altiplano.recipe.schema import Recipe

    notes = key_notes()
    out = [
        "# Recipe keys",
        "Generated from the schema in `altiplano.recipe`. A recipe is one TOML file; `altiplano recipe show RECIPE` "
        "prints one with every default, `altiplano recipe validate RECIPE` checks it. Unknown keys are errors.",
        "**Counts** are written `4096`, `16M`, `16Mi` or `15T` (K, M, B or G, T, P; with `i` powers of 1,024), "
        "**sizes** `10MB` or `8 GiB`. *Elsewhere* names the same setting in Hugging Face transformers (`LlamaConfig`, "
        "`TrainingArguments`), torchtitan or datatrove, or says why there is none. What determines neither weights nor "
        "samples (how the model is laid out over devices) is in the [cluster file](cluster.md). With "
        '`extends = "OTHER.toml"` a recipe has the values of another one in its folder where it has none of its own; '
        "sections are joined key by key, lists are taken whole.",
    ]
    out += [one for title, model in sections(Recipe) for one in section(title, model, notes)]
    return "\n\n".join(out) + "\n"


def cluster_keys() -> str:
    from altiplano.recipe.cluster import Cluster

    notes = key_notes()
    out = [
        "# Cluster keys",
        "Generated from the schema in `altiplano.recipe`. A cluster file describes hardware, the layout that is used "
        "on it, what a plan assumes of the site, and how jobs are started. Shipped: `laptop`; `h100-1`, `h100-8` "
        "(laid out for the 8B recipe), `h100-64` (70B), "
        "`h100-512`, `h100-2048`, `h100-16384`, `h200-2048`, `b200-2048` (405B).",
    ]
    out += [one for title, model in sections(Cluster) for one in section(title, model, notes, "cluster.")]
    return "\n\n".join(out) + "\n"


def key_notes() -> dict[str, dict[str, str]]:
    return tomllib.loads((ROOT / "docs/reference/keys.toml").read_text(encoding="utf-8"))


def sections(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, type[BaseModel]]]:
    """``("corpus.quality", QualityConfig)`` and so on, each before those inside it; the model itself first."""
    yield prefix, model
    for name, field in model.model_fields.items():
        for inner in models_in(field.annotation):
            many = typing.get_origin(field.annotation) is tuple
            yield from sections(inner, f"{prefix}.{name}".lstrip(".") + ("[]" if many else ""))


def keys(model: type[BaseModel]) -> Iterator[str]:
    """Every key by its full name, as ``corpus.sources.format``."""
    for title, inner in sections(model):
        for name, field in inner.model_fields.items():
            if not models_in(field.annotation):
                yield f"{title.replace('[]', '')}.{name}".lstrip(".")


def section(title: str, model: type[BaseModel], notes: dict[str, dict[str, str]], where: str = "") -> Iterator[str]:
    plain = title.replace("[]", "")
    fields = {name: field for name, field in model.model_fields.items() if not models_in(field.annotation)}
    if not fields:
        return
    heading = f"`[[{plain}]]`" if title.endswith("[]") else f"`[{plain}]`" if plain else "Top level"
    yield f"## {heading} {{ #{plain.replace('.', '-') or 'top-level'} }}"
    if plain and model.__doc__:
        yield inspect.cleandoc(model.__doc__).replace("``", "`")
    rows = ["| key | default | meaning |", "|---|---|---|"]
    for name, field in fields.items():
        full = f"{plain}.{name}".lstrip(".")
        note = notes.get(where + full, {})
        description = sentence(note.get("what") or field.description or "")
        unit = f" Unit: {note['unit']}." if "unit" in note else ""
        like = f"<br>*Elsewhere:* {note['like']}" if "like" in note else ""
        kind = f"`{name}`<br><small>{cell(kind_of(field))}</small>"
        rows.append(
            f'| <span id="{full}"></span>{kind} | {default_of(field)} | {cell(description)}{unit}{cell(like)} |'
        )
    yield "\n".join(rows)


def sentence(text: str) -> str:
    text = text.strip().replace("``", "`")
    return text if not text or text[-1] in ".!?" else text + "."


def models_in(annotation: Any) -> list[type[BaseModel]]:
    """The models that an annotation such as ``tuple[Source, ...] | None`` is made of."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for inner in typing.get_args(annotation) for found in models_in(inner)]


def kind_of(field: FieldInfo) -> str:
    limits = [bound for one in field.metadata if (bound := bound_of(one))]
    return ", ".join([type_name(field.annotation, field.metadata), *limits])


def bound_of(constraint: Any) -> str:
    for attribute, sign in (("gt", ">"), ("ge", "≥"), ("lt", "<"), ("le", "≤")):
        if (value := getattr(constraint, attribute, None)) is not None:
            return f"{sign} {value:,}" if isinstance(value, int) else f"{sign} {value:g}"
    return ""


def type_name(annotation: Any, metadata: list[Any] | None = None) -> str:
    from altiplano.recipe.units import parse_bytes, parse_count

    parsers = [getattr(one, "func", None) for one in metadata or []]
    parsers += [getattr(one, "func", None) for one in getattr(annotation, "__metadata__", ())]
    if parse_count in parsers:
        return "count"
    if parse_bytes in parsers:
        return "size"
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return type_name(arguments[0])
    if origin is typing.Literal:
        return " \\| ".join(f'"{one}"' for one in arguments)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(type_name(one) for one in arguments if one is not type(None))
    if origin in (tuple, list):
        return f"list of {type_name(arguments[0])}"
    if origin is dict:
        return f"table of {type_name(arguments[1])}"
    names = {Any: "any", int: "integer", float: "number", str: "string", bool: "true or false", Path: "path"}
    return names.get(annotation, getattr(annotation, "__name__", str(annotation)))


def default_of(field: FieldInfo) -> str:
    from altiplano.recipe.units import human_bytes

    if field.is_required():
        return "**required**"
    value = field.get_default(call_default_factory=True)
    if value is None:
        return "none"
    if value in ("", (), [], {}):
        return "empty"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, int):
        is_size = type_name(field.annotation, field.metadata) == "size" and value % 2**20 == 0
        return f"`{human_bytes(value)}`" if is_size else f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.0f}" if value >= 1000 else re.sub(r"e-0+", "e-", f"{value:g}")
    if isinstance(value, tuple | list):
        return f"`{list(value)}`"
    return f"`{value}`"


def cell(text: str) -> str:
    """Text in one cell of a table."""
    return re.sub(r"(?<!\\)\|", r"\\|", " ".join(text.replace("%%", "%").split()))


# File formats


def file_formats() -> str:
    text = (ROOT / "docs/reference/file-formats.md").read_text(encoding="utf-8")
    tables = "\n\n".join(one for name, model in SCHEMAS.items() for one in record(name, model))
    return text.replace(SCHEMAS_HERE, tables)


def schema_file(place: str) -> str:
    """``train/metrics.jsonl`` → ``schemas/train-metrics.jsonl.schema.json``, beside the page of file formats."""
    return f"schemas/{place.replace('/', '-')}.schema.json"


def record(place: str, model: type[BaseModel]) -> Iterator[str]:
    """A file's keys, and those of the objects inside it. ``calibrate/calibration.json`` has the anchor of its name."""
    anchor = place.rpartition("/")[2].replace(".", "")
    yield f"### `{place}` {{ #{place.replace('/', '-') if anchor == 'manifestjson' else anchor} }}"
    yield from shape("", model, ())
    yield f"[JSON Schema]({schema_file(place)})"


def shape(path: str, model: type[BaseModel], above: tuple[type, ...]) -> Iterator[str]:
    described = model.__doc__ and model.__doc__ != BaseModel.__doc__
    text = inspect.cleandoc(model.__doc__ or "").replace("``", "`") if described else ""
    yield f"**`{path}`** {text}".strip() if path else text
    inside: dict[type[BaseModel], str] = {}
    rows = ["| key | type | meaning |", "|---|---|---|"]
    for key, field in model.model_fields.items():
        named = "each" if key == "root" else field.alias or key
        for one in models_in(field.annotation):
            inside.setdefault(one, f"{path}.{named}".lstrip("."))
        description = cell(sentence(field.description or ""))
        rows.append(f"| `{named}` | {cell(shape_name(field.annotation))} | {description} |")
    if "root" not in model.model_fields:
        yield "\n".join(rows)
    for one, place in inside.items():
        if one not in (*above, model):
            yield from shape(place, one, (*above, model))


def shape_name(annotation: Any) -> str:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        shown = " or ".join(shape_name(one) for one in arguments if one is not type(None))
        return shown + (" or null" if type(None) in arguments else "")
    if origin in (tuple, list):
        return f"list of {shape_name(arguments[0])}"
    if origin is dict:
        return f"object: {shape_name(arguments[0])} → {shape_name(arguments[1])}"
    if models_in(annotation):
        return "object"
    return type_name(annotation)


# The Python API


def python_api() -> str:
    import altiplano

    out = [
        "# Python API",
        "These names are what other programs may rely on; everything else may change between versions. The package is "
        "typed (`py.typed`).",
    ]
    found = []
    for name in sorted(altiplano.__all__, key=lambda name: (name[0].isupper(), name)):  # functions first
        thing = getattr(altiplano, name)
        found.append(
            f"::: {thing.__module__}.{thing.__qualname__}\n    options:\n      heading: altiplano.{name}\n"
            f"      toc_label: {name}"
        )
    return "\n\n".join([*out, *found]) + "\n"
