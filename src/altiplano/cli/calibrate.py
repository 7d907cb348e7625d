"""``altiplano calibrate FOLDER``: answers to benchmarks, calibrated. Of a recipe it is a stage like the others."""

import argparse
from pathlib import Path

from altiplano.cli.arguments import is_folder
from altiplano.errors import InputError

EXAMPLES = """
  altiplano calibrate evaluations/quickstart
  altiplano calibrate evaluations/quickstart --fit-on endings

A folder in place of a recipe has a model's answers, as altiplano evaluate MODEL TASK… writes them. An answer
temperature is fitted on the tasks, each task is judged at one that was fitted on the others, and
answer_calibration.json and answer_calibration.html are written there (docs/guides/calibrate.md)."""


def add(sub: argparse.ArgumentParser) -> None:
    sub.epilog = (sub.epilog or "").replace("\n\n", EXAMPLES + "\n\n", 1)
    sub.add_argument(
        "--fit-on",
        nargs="+",
        default=[],
        metavar="TASK",
        help="tasks to fit on, the others are judged (default: all, each judged by the others)",
    )
    sub.add_argument(
        "--normalisation",
        metavar="NAME",
        help="sum, per_token, per_character, per_byte or unconditional (default: the best on tasks left out)",
    )
    sub.add_argument("--output", type=Path, metavar="FOLDER", help="where results go (default: the answers' folder)")


def is_evaluation(options: argparse.Namespace) -> bool:
    """Whether the first argument is an evaluated model's folder, where a recipe is a TOML file or a name."""
    given = options.fit_on or options.normalisation or options.output
    folder = Path(options.recipe)
    if given and not folder.is_dir():
        raise InputError(f"{folder} is not a folder: --fit-on, --normalisation and --output are for evaluated models")
    return is_folder(options.recipe)


def run(options: argparse.Namespace) -> int:
    folder = Path(options.recipe)
    if (folder / "recipe.toml").exists():
        raise InputError(f"{folder} is a run, which its recipe calibrates: altiplano calibrate {folder}/recipe.toml")
    if (folder.parent / "manifest.json").exists() and options.output is None:
        raise InputError(f"{folder} is part of a run, which must not change: give another folder with --output")
    from rich.console import Console

    from altiplano.benchmarks.evaluated import read_evaluation
    from altiplano.calibration.answers.calibrate import FILE, calibrate_answers
    from altiplano.inference.rounding import rounded
    from altiplano.recipe.schema import CalibrationConfig
    from altiplano.report.answer_calibration_page import answer_tables, write_answer_page

    result, answers = read_evaluation(folder)
    settings = CalibrationConfig()
    found = rounded(
        calibrate_answers(
            answers,
            bins=settings.bins,
            samples=settings.bootstrap_samples,
            seed=0,
            model=result.model,
            fingerprint=result.fingerprint,
            normalisation=options.normalisation,
            fit_on=options.fit_on,
        )
    )
    output = options.output or folder
    found.write(output / FILE)
    page = write_answer_page(found, output)
    Console().print(answer_tables(found))
    print(page)
    return 0
