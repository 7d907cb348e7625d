"""A model on files of text: each group of them is published when it is done, so that an interruption costs only one."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from altiplano.benchmarks.rolling import ScoredText, check_windows, score_texts, summarise_texts
from altiplano.errors import InputError
from altiplano.evaluation.document_scores import (
    FILE,
    DocumentScore,
    document_name,
    read_document_scores,
    write_document_scores,
)
from altiplano.inference.language_model import LanguageModel
from altiplano.records import TextEvaluation
from altiplano.storage import Damaged, json_digest

RESULT = "texts.json"
PLAIN, LINES = (".txt", ".md"), ".jsonl"


def text_files(places: Sequence[Path]) -> dict[str, list[Path]]:
    """Group → its files. A file is a group of its own; of a folder, its .txt and .md files are one, a .jsonl file each.

    Raises InputError when there are none, or two groups of one name.
    """
    groups: dict[str, list[Path]] = {}
    for place in places:
        if not place.exists():
            raise InputError(f"{place} is not there: name files of text (.txt, .md, .jsonl), or folders of them")
        if place.is_dir():
            inside = sorted(place.iterdir())
            found = [(one.stem, [one]) for one in inside if one.suffix == LINES]
            if plain := [one for one in inside if one.suffix in PLAIN]:
                found.append((place.resolve().name, plain))
        elif place.suffix in (*PLAIN, LINES):
            found = [(place.stem, [place])]
        else:
            raise InputError(f"{place} is no file of text: name .txt and .md (a document each) or .jsonl files")
        if not found:
            raise InputError(f"{place} has no files of text (.txt, .md, .jsonl)")
        for name, files in found:
            if name in groups:
                raise InputError(f"{groups[name][0]} and {files[0]} have one name, {name}: rename one of them")
            groups[name] = files
    return groups


def read_texts(file: Path) -> list[str]:
    """The documents of a file: one, or of JSON lines the value of "text" in each. Raises InputError for others."""
    try:
        whole = file.read_bytes().decode("utf-8")  # line ends stay as they are
    except UnicodeDecodeError as error:
        raise InputError(f"{file} is not UTF-8 (byte {error.start:,}): convert it") from error
    if file.suffix != LINES:
        return [whole]
    texts = []
    for number, line in enumerate(whole.split("\n"), 1):
        if not line.strip():
            continue
        try:
            text = json.loads(line)["text"]
            text.encode()  # not of half a surrogate pair
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            text = None
        if not isinstance(text, str):
            raise InputError(f'{file}, line {number:,}: no JSON object with a string of sound Unicode under "text"')
        texts.append(text)
    return texts


def evaluate_texts(
    model: LanguageModel,
    files: dict[str, list[Path]],
    folder: Path,
    *,
    fingerprint: str = "",
    window: int | None = None,
    stride: int | None = None,
) -> TextEvaluation:
    """Score every group of files and write ``texts.json`` and ``documents.parquet`` to ``folder``.

    Groups that were scored there before, by the same model in the same windows, are not scored again. Raises InputError
    when the folder has scores of another model or of other windows, or a file has no text.
    """
    seen, step = check_windows(model, window, stride)
    begin = model.tokenizer.name_of(model.tokenizer.bos)
    result = TextEvaluation(
        model=model.name, fingerprint=fingerprint, window=seen, stride=step, begins_with=begin, groups={}
    )
    before = _before(folder, result)
    rows = read_document_scores(folder / FILE) if before and (folder / FILE).exists() else []
    groups = dict(before.groups) if before else {}
    read = {
        name: [text for file in some for text in read_texts(file)] for name, some in files.items()
    }  # all at first: their faults show at once
    for name, texts in read.items():
        if not any(texts):
            raise InputError(f"{files[name][0]} has no text to score")
    for name, texts in read.items():
        digest = json_digest([document_name(text.encode()) for text in texts])
        if name in groups and groups[name].digest == digest:
            continue
        told = [text for text in texts if text]
        scored = score_texts(model, told, seen, step)
        groups[name] = summarise_texts(scored, len(texts) - len(told), digest)
        rows = [row for row in rows if row.group != name]
        rows += [_row(name, text, one, seen, step) for text, one in zip(told, scored, strict=True)]
        write_document_scores(folder / FILE, rows)
        result = result.model_copy(update={"groups": groups})
        result.write(folder / RESULT)
    return result.model_copy(update={"groups": groups})


def _before(folder: Path, wanted: TextEvaluation) -> TextEvaluation | None:
    """What the folder has. Raises InputError when it is of something else."""
    if not (folder / RESULT).exists():
        return None
    try:
        found = TextEvaluation.read(folder / RESULT)
    except (OSError, Damaged) as error:
        raise InputError(f"{folder / RESULT} cannot be read ({error}): remove it, or name another --output") from error
    for what, one, other in (
        ("another model", found.fingerprint or found.model, wanted.fingerprint or wanted.model),
        (f"windows of {found.window:,} tokens", found.window, wanted.window),
        (f"a stride of {found.stride:,} tokens", found.stride, wanted.stride),
    ):
        if one != other:
            raise InputError(f"{folder} has scores of {what}: name another folder with --output, or remove this one")
    return found


def _row(group: str, text: str, scored: ScoredText, window: int, stride: int) -> DocumentScore:
    nll = float(np.sum(scored.nll))
    return DocumentScore(group, document_name(text.encode()), nll, len(scored.nll), scored.bytes, window, stride)
