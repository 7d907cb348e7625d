"""Rows of a data file to items: templates, few-shot examples, letters, permuted choices."""

import hashlib
import random
import re
import string
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import islice
from typing import Any

import jinja2
import jinja2.sandbox
import numpy as np

from altiplano.benchmarks.item import Choice, Item
from altiplano.benchmarks.task_file import TaskFile
from altiplano.errors import InputError

Row = Mapping[str, Any]

LETTERS = string.ascii_uppercase
LAYOUTS = (
    ("{prompt}", "\n {letter}. {choice}", "\nAnswer:"),
    ("Question: {prompt}\n", "{letter}. {choice}\n", "Answer:"),
    ("Q: {prompt}\n", "({letter}) {choice}\n", "A:"),
    ("{prompt}\n\n", "{letter}) {choice}\n", "\nThe answer is"),
    ("### Question\n{prompt}\n\n", "- {letter}: {choice}\n", "\n### Answer\n"),
)
"""Ways to lay a lettered question out: what stands before the choices, each choice, what asks for the letter."""

LETTERED = re.compile(r"^\s*\(?([A-Z])[.):]\s*")

_JINJA = jinja2.sandbox.SandboxedEnvironment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True)
"""Templates come from strangers: they see the row and nothing else."""


def render(template: str, row: Row) -> str:
    """Raises InputError when the row lacks a column that the template names."""
    return str(_evaluate(_template, template, row))


def value(expression: str, row: Row) -> Any:
    """A column by its name, or what a template gives: of one that is a single expression, a list stays a list."""
    if expression in row:
        return row[expression]
    text = expression.strip()
    if "{" not in text:
        raise InputError(f"a row has no column {expression!r}; it has {', '.join(row)}")
    single = text.startswith("{{") and text.endswith("}}") and text.count("{{") == 1
    return _evaluate(_expression, text[2:-2].strip(), row) if single else render(expression, row)


@cache
def _template(text: str) -> Any:
    return _JINJA.from_string(text).render


@cache
def _expression(text: str) -> Any:
    return _JINJA.compile_expression(text, undefined_to_none=False)


def _evaluate(compiled: Any, text: str, row: Row) -> Any:
    try:
        found = compiled(text)(**row)
    except Exception as error:  # whatever a stranger's template does
        raise InputError(f"{text!r} cannot be had of a row with {', '.join(row)}: {error}") from error
    if isinstance(found, jinja2.Undefined):
        raise InputError(f"a row has nothing for {text!r}; it has {', '.join(row)}")
    return found


def make_items(file: TaskFile, rows: Sequence[Row], examples: Sequence[Row]) -> tuple[list[Item], dict[str, int]]:
    """An item for each row, and how many rows were none, by reason; ``examples`` are the rows of few-shot examples.

    Raises InputError when no row will do.
    """
    if file.few_shot and len(examples) <= file.few_shot:
        raise InputError(
            f"{file.name}: few_shot = {file.few_shot} needs more than {len(examples)} rows of examples: name a file as "
            "few_shot_data"
        )
    made, skipped, first_error = [], dict[str, int](), ""
    for place, (row, shown) in enumerate(zip(rows, _examples(file, rows, examples), strict=True)):
        try:
            made.append(_item(file, place, row, shown))
        except InputError as error:
            skipped["cannot be asked"] = skipped.get("cannot be asked", 0) + 1
            first_error = first_error or f"row {place + 1:,}: {error}"
    if not made:
        raise InputError(f"{file.name}: {first_error or f'{file.data} has no rows'}")
    return made, skipped


def _examples(file: TaskFile, rows: Sequence[Row], pool: Sequence[Row]) -> Iterator[list[Row]]:
    """For each row the ``few_shot`` examples of ``pool`` that stand before it, never the row itself."""
    count, own = file.few_shot, file.few_shot_data is None
    order = [*range(len(pool))]
    if file.few_shot_sampler == "shared":
        order = np.random.default_rng([file.seed, len(pool)]).permutation(len(pool)).tolist()
    generator = random.Random(file.seed)
    for row in rows:
        if file.few_shot_sampler == "per_item" and count:
            # ContextSampler.sample of lm-evaluation-harness: one more where the row itself may be among them, and
            # drawn again where it stood in the pool several times
            drawn = generator.sample(pool, count + own)
            chosen = [one for one in drawn if one != row][:count] if own else drawn
            others = [one for one in pool if one != row] if len(chosen) < count else ()
            chosen = generator.sample(others, count) if len(others) >= count else chosen
        else:
            chosen = [*islice((pool[at] for at in order if pool[at] != row), count)]
        if len(chosen) < count:
            raise InputError(f"{file.name}: few_shot = {count} needs more rows of examples that differ from each item")
        yield chosen


def _item(file: TaskFile, place: int, row: Row, examples: Sequence[Row]) -> Item:
    shown = "".join(_ask(file, one, None) + _example_answer(file, one) + file.between for one in examples)
    name = str(value(file.id, row)) if file.id else str(place)
    cluster = str(value(file.cluster, row)) if file.cluster else name
    order = _order(file, place, row)
    asked = file.description + shown + _ask(file, row, order)
    if file.style == "written":
        references = tuple(_listed(value(file.answer, row)))
        choices = tuple(Choice(asked, file.delimiter + text, text) for text in references[:1])
        tests = render(file.tests, row) if file.tests else ""
        return Item(name, cluster, choices, 0 if choices else None, None, asked, references, tests, row)
    if file.style == "cloze":
        text = str(value(file.answer, row))
        return Item(name, cluster, (Choice(asked, file.delimiter + text, text),), 0, prompt=asked, row=row)
    offered, gold = _choices(file, row)
    if not all(text.strip() for text in offered):
        raise InputError("a choice is empty: nothing is likelier than saying nothing")
    said = [*LETTERS[: len(offered)]] if file.style == "lettered" else [offered[at] for at in order]
    choices = tuple(Choice(asked, file.delimiter + text, text) for text in said)
    return Item(name, cluster, choices, order.index(gold), file.unconditional, asked, row=row)


def _ask(file: TaskFile, row: Row, order: Sequence[int] | None) -> str:
    """A row as it is asked, up to where its answer begins; choices in their own order where none is given."""
    prompt = render(file.prompt, row)
    if file.style != "lettered":
        return prompt
    offered, _ = _choices(file, row)
    before, line, ask = LAYOUTS[file.layout]
    places = order or range(len(offered))
    lines = [line.format(letter=letter, choice=offered[at]) for letter, at in zip(LETTERS, places, strict=False)]
    return before.format(prompt=prompt) + "".join(lines) + ask


def _example_answer(file: TaskFile, row: Row) -> str:
    if file.style in ("written", "cloze"):
        return file.delimiter + _listed(value(file.answer, row))[0]
    offered, gold = _choices(file, row)
    return file.delimiter + (LETTERS[gold] if file.style == "lettered" else offered[gold])


def _choices(file: TaskFile, row: Row) -> tuple[list[str], int]:
    """The choices and the right one's place."""
    if isinstance(file.choices, str):
        offered = _listed(value(file.choices, row))
    else:
        offered = [str(row[one]) if one in row else render(one, row) for one in file.choices]
    gold = value(file.answer, row)
    right = _listed(gold)[0] if isinstance(gold, list) else gold
    stripped = LETTERED.sub("", str(right)) if isinstance(right, str) else right
    return offered, place_of(stripped if stripped in offered else right, offered, file.first_answer)


def _listed(found: Any) -> list[str]:
    """A list of texts; one text of lines that begin with letters is such a list without them."""
    if isinstance(found, list | tuple):
        return [str(one) for one in found]
    lines = str(found).strip().split("\n") if isinstance(found, str) else []
    if len(lines) > 1 and all(LETTERED.match(line) for line in lines):
        return [LETTERED.sub("", line).strip() for line in lines]
    return [str(found)]


def place_of(gold: Any, offered: Sequence[str], first: int = 0) -> int:
    """Where the right answer is among the choices, of its place, its letter or itself.

    Raises InputError when ``gold`` names none of them.
    """
    if isinstance(gold, bool):  # of yes and no
        gold = "yes" if gold else "no"
    text = str(gold).strip()
    if isinstance(gold, str) and [*offered].count(text) == 1:
        return [*offered].index(text)
    if text.isdigit() and 0 <= int(text) - first < len(offered):
        return int(text) - first
    if len(text) == 1 and text.upper() in LETTERS[: len(offered)]:
        return LETTERS.index(text.upper())
    raise InputError(f"the answer {gold!r} is none of {len(offered)} choices")


def _order(file: TaskFile, place: int, row: Row) -> list[int]:
    """The choices' places in the order to offer them: as they come, or by seed and item."""
    if file.style in ("written", "cloze"):
        return []
    count = len(_choices(file, row)[0])
    if not file.permute:
        return [*range(count)]
    key = hashlib.sha256(f"{file.permute}/{file.name}/{place}".encode()).digest()
    order: list[int] = np.random.default_rng(int.from_bytes(key[:8], "big")).permutation(count).tolist()
    return order
