"""What there is to find of a benchmark's item: its questions, and the answers that tell a short question apart.

A benchmark is a file of items as people have them: JSON lines or JSON (also harnesses' request files, which keep the
item under ``doc``), Parquet, Arrow, CSV, TSV, or text with an item a line. Keys say what a string is where they are
known ones; a string under any other key is a question when it is long.
"""

import csv
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from altiplano.corpus.readers.decoding import decode
from altiplano.corpus.readers.decompression import BROKEN
from altiplano.corpus.readers.opening import bare, join, open_raw
from altiplano.errors import InputError
from altiplano.optional_imports import extra

QUESTION = {
    "question", "query", "prompt", "problem", "goal", "premise", "hypothesis", "sentence", "sentence1", "sentence2",
    "ctx", "ctx_a", "ctx_b", "input", "text", "stem", "instruction", "statement", "claim",
}  # fmt: skip
CONTEXT = {"context", "passage", "story", "article", "background", "support", "fact", "protocol"}
PUBLIC = {
    "title", "abstract", "full_text", "paragraph", "paragraphs", "document", "evidence", "source_text", "caption",
    "figures_and_tables", "section", "previous_qa", "history",
}  # fmt: skip
ANSWER = {
    "answer", "answers", "target", "targets", "gold", "solution", "output", "completion", "ideal", "best_answer",
    "correct_answer", "canonical_solution", "code", "short_answer", "answers_text", "answer_text", "ending", "label",
}  # fmt: skip
CHOICE = re.compile(
    r"(?:choices?|options?|endings?|distractors?|(?:wrong|incorrect)_answers?|mc[12]_targets|answer|option|sol|ending|"
    r"distractor|choice|op)_?[a-e0-9]?"
)
GOLD = ("answer", "label", "gold", "answer_idx", "answerkey", "cop", "target")
"""Keys of the right choice's letter or number."""

SKIPPED = {"id", "idx", "index", "task_id", "native_id", "doc_id", "url", "metadata", "meta", "request", "request_type"}

LABEL = re.compile(
    r"^[ \t]*(question|q|query|goal|problem|fill in the blank|passage|context|background|story|title|article|answer|a)"
    r"[ \t]*:[ \t]*",
    re.IGNORECASE | re.MULTILINE,
)
LETTERED = re.compile(r"^[ \t]*\(?([A-J])[.):][ \t]+(\S[^\n]*)$", re.MULTILINE)
SHORT_PASSAGE = 60
"""Words: what a question is asked about is part of it up to here. Longer passages are public text (an encyclopedia's
article, a paper) that a corpus may have without having the test."""


class Item(NamedTuple):
    """``questions`` are looked for on their own where they are long enough; a short one counts only with one of
    ``answers``, the right ones where they are known, after it."""

    questions: list[str]
    answers: list[str]


def read_items(root: Path, file: Path) -> Iterator[Item]:
    """Raises InputError, naming the file, for one that cannot be read."""
    before: Any = None
    try:
        for record in _records(root, file):
            # harnesses' request files say an item once for each of its choices, under "doc"
            what = record["doc"] if isinstance(record, dict) and isinstance(record.get("doc"), dict) else record
            if what != before and (item := _item(what)).questions:
                yield item
            before = what
    except (*BROKEN, ValueError) as error:
        raise InputError(f"corpus.benchmarks: {file} cannot be read: {error}") from error


def _records(root: Path, file: Path) -> Iterator[Any]:
    """Lines of text, or what an item's JSON holds."""
    name = bare(file.name).lower()
    if name.endswith((".parquet", ".arrow")):
        yield from _rows(file, name)
        return
    with open_raw(join(str(root), str(file.relative_to(root)))) as stream:
        if name.endswith(".json"):
            whole = json.loads(decode(stream.read())[0])
            yield from whole if isinstance(whole, list) else next(filter(_is_items, whole.values()), [whole])
        elif name.endswith((".csv", ".tsv")):
            lines = io.TextIOWrapper(stream, "utf-8", "replace", newline="")
            yield from csv.DictReader(lines, delimiter="\t" if name.endswith(".tsv") else ",")
        else:
            for number, line in enumerate(stream, 1):
                text = decode(line)[0]
                if not name.endswith(".jsonl"):
                    yield text
                elif text.strip():
                    yield _parsed(text, number)


def _parsed(line: str, number: int) -> Any:
    try:
        return json.loads(line)
    except ValueError as error:
        raise ValueError(f"line {number} is no JSON: {error}") from error


def _is_items(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)


def _rows(file: Path, name: str) -> Iterator[Any]:
    if name.endswith(".parquet"):
        for batch in extra("pyarrow.parquet").ParquetFile(file).iter_batches():
            yield from batch.to_pylist()
        return
    ipc = extra("pyarrow.ipc")
    with file.open("rb") as stream:
        for batch in ipc.open_stream(stream):
            yield from batch.to_pylist()


def _item(record: Any) -> Item:
    if not isinstance(record, dict):
        return Item(_distinct([text for _, text in _strings("", record)]), [])
    questions: list[str] = []
    passages: list[str] = []
    choices: list[str] = []
    answers: list[str] = []
    for key, text in _strings("", record):
        if key in ANSWER and len(text) > 1:
            answers.append(text)
        elif CHOICE.fullmatch(key):
            if len(text) > 1:
                choices.append(text)
        elif key in CONTEXT:
            passages.append(text)
        elif key not in PUBLIC:
            _split(text, key in QUESTION, questions, passages, choices, answers)
    questions += [text for text in passages if len(text.split()) <= SHORT_PASSAGE]
    gold = _gold(record, choices)
    return Item(_distinct(questions), _distinct([*answers, *gold] or choices))


def _strings(key: str, value: Any) -> Iterator[tuple[str, str]]:
    """Every string below ``value`` with the name of the key that it stands under, in lower case."""
    if isinstance(value, str):
        if value.strip():
            yield key, value
    elif isinstance(value, dict):
        for name, inner in value.items():
            if str(name).lower() not in SKIPPED:
                # {"choices": {"text": [...]}, "full_text": {"paragraphs": [...]}}: what strings are is said above them
                nested = CHOICE.fullmatch(key) or key in ANSWER | CONTEXT | PUBLIC
                yield from _strings(key if nested else str(name).lower(), inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(key, inner)
    elif isinstance(value, int | float) and key in ANSWER and not isinstance(value, bool):
        yield key, str(value)


def _split(
    text: str, known: bool, questions: list[str], passages: list[str], choices: list[str], answers: list[str]
) -> None:
    """A prompt written out ("Passage: … Question: … A. … B. … Answer: …") into its parts."""
    choices += [match[2] for match in LETTERED.finditer(text)]
    text = LETTERED.sub("", text)
    parts = LABEL.split(text)
    labelled = list(zip(["", *parts[1::2]], parts[::2], strict=True))
    for label, part in labelled:
        words = len(part.split())
        kind = label.lower()
        if not words or kind in PUBLIC:
            continue
        if kind in ("answer", "a"):
            answers.append(part)
        elif kind in CONTEXT or (not kind and len(labelled) > 1 and words > SHORT_PASSAGE):
            passages.append(part)
        elif known or kind or words > 7:
            questions.append(part)


def _gold(record: dict[str, Any], choices: list[str]) -> list[str]:
    """The right choice, where a key gives its letter or number."""
    for key in GOLD:
        value = next((value for name, value in record.items() if str(name).lower() == key), None)
        if isinstance(value, bool):
            continue
        if isinstance(value, str) and len(value) == 1:
            # a digit in quotes counts from 0 in some benchmarks and from 1 in others: both are taken
            places = [ord(value.upper()) - ord("A")] if value.isalpha() else [ord(value) - 49, ord(value) - 48]
        else:
            places = [value] if isinstance(value, int) else []
        if found := [choices[place] for place in places if 0 <= place < len(choices)]:
            return found
    return []


def _distinct(texts: list[str]) -> list[str]:
    return list(dict.fromkeys(text.strip() for text in texts if text.strip()))
