"""What there is to find of a benchmark's item: its questions, and the answers that tell a short question apart.

A benchmark is a file of items as people have them: JSON lines or JSON (also harnesses' request files, which keep the
item under ``doc``, SQuAD's paragraphs of ``qas``, and conversations), Parquet, Arrow, CSV and TSV with names of columns
or without, or text with an item a line. Keys say what a string is where they are known ones; a string under any other
key is a question when it is long.
"""

import csv
import io
import json
import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from altiplano.corpus.readers.archives.decompression import BROKEN
from altiplano.corpus.readers.charsets.decoding import decode
from altiplano.corpus.readers.opening import bare, join, open_raw
from altiplano.corpus.readers.raw import MAX_RECORD_BYTES
from altiplano.errors import InputError
from altiplano.optional_imports import extra

QUESTION = {
    "question", "query", "prompt", "problem", "goal", "premise", "hypothesis", "sentence", "sentence1", "sentence2",
    "ctx", "ctx_a", "ctx_b", "input", "text", "stem", "instruction", "statement", "claim", "questions", "turns",
}  # fmt: skip
CONTEXT = {"context", "passage", "story", "article", "background", "support", "fact", "protocol"}
PUBLIC = {
    "title", "abstract", "full_text", "paragraph", "paragraphs", "document", "evidence", "source_text", "caption",
    "figures_and_tables", "section", "previous_qa", "history",
}  # fmt: skip
ANSWER = {
    "answer", "answers", "target", "targets", "gold", "solution", "output", "completion", "ideal", "best_answer",
    "correct_answer", "correct_answers", "canonical_solution", "code", "short_answer", "answers_text", "answer_text",
    "ending", "label",
}  # fmt: skip
CHOICE = re.compile(
    r"(?:choices?|options?|endings?|distractors?|(?:wrong|incorrect)_answers?|mc[12]_targets|answer|option|sol|ending|"
    r"distractor|choice|op)_?[a-e0-9]?|[a-e]"
)
GOLD = ("answer", "label", "gold", "answer_idx", "answerkey", "cop", "target")
"""Keys of the right choice's letter or number."""

SPEAKER, SAID = ("role", "from"), ("content", "value")
ASKS, ANSWERS = ("user", "human"), ("assistant", "gpt", "model")
"""Of a conversation's turn: keys of who speaks and of what, and the names of the two sides."""

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
            if what and what != before:
                yield from map(item_of, _parts(what))
            before = what
    except (*BROKEN, ValueError, csv.Error) as error:
        raise InputError(f"corpus.benchmarks: {file} cannot be read: {error}") from error


def _records(root: Path, file: Path) -> Iterator[Any]:
    """Lines of text, or what an item's JSON holds."""
    name = bare(file.name).lower()
    if name.endswith((".parquet", ".arrow")):
        yield from _rows(file, name)
        return
    with open_raw(join(str(root), str(file.relative_to(root)))) as stream:
        if name.endswith(".json"):
            yield from _json(decode(stream.read())[0])
        elif name.endswith((".csv", ".tsv")):
            lines = io.StringIO(decode(stream.read())[0], newline="")
            yield from _table(csv.reader(lines, delimiter="\t" if name.endswith(".tsv") else ","))
        else:
            for number, line in enumerate(stream, 1):
                text = decode(line)[0]
                if not name.endswith(".jsonl"):
                    yield text.strip()
                elif text.strip():
                    yield _parsed(text, number)


def _json(text: str) -> Iterator[Any]:
    """A list of items, an object with one, or, whatever the file's name says, JSON lines."""
    try:
        whole = json.loads(text)
    except ValueError as error:
        if not str(error).startswith("Extra data"):
            raise
        yield from (_parsed(line, number) for number, line in enumerate(text.split("\n"), 1) if line.strip())
        return
    if isinstance(whole, dict):
        whole = next(filter(_is_items, whole.values()), [whole])
    yield from whole if isinstance(whole, list) else [whole]


def _table(rows: Iterator[list[str]]) -> Iterator[dict[str, str]]:
    """Where no known name is among the first row's values, as in MMLU's own files, the first row is an item, too: a
    question, choices, and the answer."""
    csv.field_size_limit(MAX_RECORD_BYTES)
    names = next(rows, [])
    if not any(_is_known(_key(name)) for name in names if len(name) > 1):
        first, names = names, ["question", *["choices"] * (len(names) - 2), "answer"][: len(names)]
        rows = chain([first], rows)
    for row in rows:
        item: dict[str, Any] = {}
        for name, value in zip(names, row, strict=False):
            if name == "choices":
                item.setdefault(name, []).append(value)
            else:
                item[name] = value
        yield item


def _key(name: object) -> str:
    return re.sub(r"[ -]", "_", str(name).strip().lower())


def _is_known(key: str) -> bool:
    return key in QUESTION | CONTEXT | PUBLIC | ANSWER | SKIPPED or bool(CHOICE.fullmatch(key))


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


def _parts(record: Any) -> list[Any]:
    """The items of a record with several questions about each of its passages, as SQuAD has them."""
    if not isinstance(record, dict):
        return [record]
    paragraphs = record.get("paragraphs") or []
    if _is_items(paragraphs) and "qas" in paragraphs[0]:
        return [part for paragraph in paragraphs for part in _parts(paragraph)]
    if not _is_items(record.get("qas")):
        return [record]
    rest = {key: value for key, value in record.items() if key != "qas"}
    return [rest | asked for asked in record["qas"] if isinstance(asked, dict)]


def item_of(record: Any) -> Item:
    """What there is to find of one item: of a row with named columns, or of a text or list of texts."""
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
    if not choices:  # a digit is no place in them
        answers += [str(record[key]) for key in ("answer", "target") if str(record.get(key)).isdigit()]
    return Item(_distinct(questions), _distinct([*answers, *gold] or choices))


def _strings(key: str, value: Any) -> Iterator[tuple[str, str]]:
    """Every string below ``value`` with the name of the key that it stands under, in lower case."""
    if isinstance(value, str):
        if value.strip():
            yield key, value
    elif isinstance(value, dict) and (said := _said(value)):
        yield said
    elif isinstance(value, dict):
        for name, inner in value.items():
            if _key(name) not in SKIPPED:
                # {"choices": {"text": [...]}, "full_text": {"paragraphs": [...]}}: what strings are is said above them
                nested = CHOICE.fullmatch(key) or key in ANSWER | CONTEXT | PUBLIC
                yield from _strings(key if nested else _key(name), inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(key, inner)
    elif isinstance(value, int | float) and key in ANSWER and not isinstance(value, bool):
        yield key, str(value)


def _said(turn: dict[str, Any]) -> tuple[str, str] | None:
    """A conversation's turn as a question or an answer; what a system prompt says is neither."""
    speaker = next((turn[key] for key in SPEAKER if isinstance(turn.get(key), str)), "").lower()
    words = next((turn[key] for key in SAID if isinstance(turn.get(key), str)), "")
    key = "question" if speaker in ASKS else "answer" if speaker in ANSWERS else "abstract"
    return (key, words) if speaker and words.strip() else None


def _split(
    text: str, known: bool, questions: list[str], passages: list[str], choices: list[str], answers: list[str]
) -> None:
    """A prompt written out ("Passage: … Question: … A. … B. … Answer: …") into its parts."""
    choices += [match[2] for match in LETTERED.finditer(text)]
    text = LETTERED.sub("", text)
    parts = LABEL.split(text)
    labelled = list(zip(["", *parts[1::2]], parts[::2], strict=True))
    # turns of a conversation before it, examples: what is asked is the last question
    asked = [place for place, (label, _) in enumerate(labelled) if label.lower() in ("question", "q")]
    if len(asked) > 1:
        earlier = [pair for pair in labelled[: asked[0]] if pair[0] or len(pair[1].split()) > SHORT_PASSAGE]
        labelled = [*earlier, *labelled[asked[-1] :]]
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
        value = next((value for name, value in record.items() if _key(name) == key), None)
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
