"""``altiplano run`` and a command for each stage."""

import argparse
import os
from collections.abc import Callable
from pathlib import Path

from altiplano.cli import calibrate, evaluate, redteam, release
from altiplano.cli.arguments import GO_ON, Commands, add_cluster, add_command, add_recipe, complain, read_inputs
from altiplano.errors import INTERRUPTED, InputError
from altiplano.recipe.schema import Recipe
from altiplano.recipe.trainings import MAIN, training_of, trainings

STAGES = {
    "curate": "raw files to filtered, deduplicated documents, with an audit of what was dropped and why",
    "tokenize": "documents to a vocabulary and token shards",
    "train": "token shards to weights, on the devices of a layout; resumes from its newest checkpoint",
    "export": "weights of a finished training as safetensors, by several processes, without the devices that trained",
    "evaluate": "held-out perplexity and bits per byte, per domain and language, with confidence intervals",
    "calibrate": "temperatures of tokens (on held-out text) and of answers (on benchmarks); errors before and after",
    "redteam": "memorisation, personal data and prompt probes against controls; fails when the gate does",
    "release": "a Hugging Face folder with its evidence and documents, behind a gate; then signed, verified, pushed",
}
RUN_EXAMPLES = """examples:
  altiplano {command} recipes/quickstart.toml
  altiplano {command} recipes/small.toml --set corpus.root=PATH --set batch.total_tokens=20M

Stages before it that are missing or out of date are run first; finished ones are skipped.
Counts take K, M, B, T (thousands) and Ki, Mi (1,024); sizes take kB, MB, GiB.
Exit status: 0 done, 1 a gate failed or training cannot go on, 2 bad input, 130 interrupted.
Ctrl-C is safe at any time: the same command goes on where it stopped."""


FORCE = (
    "compute {what} again even if it is up to date; a stage before it whose unfinished work was begun with other "
    "settings begins anew"
)


def add(commands: Commands) -> None:
    for name, text in {"run": "every stage below, in order, ending with a report", **STAGES}.items():
        sub = add_command(commands, name, text, run, RUN_EXAMPLES.format(command=name))
        last = {"run": "release", "export": MAIN}.get(name, name)
        sub.set_defaults(last=last, whole=name == "run", export_only=name == "export")
        add_recipe(sub)
        add_cluster(sub)
        sub.add_argument("--workspace", type=Path, metavar="FOLDER", help="where results go (default: runs/NAME)")
        sub.add_argument(
            "--force", action="store_true", help=FORCE.format(what="the release" if name == "run" else "this stage")
        )
        sub.add_argument(
            "--check",
            action="store_true",
            help="compute nothing; exit status 0 if all is up to date, 1 if not"
            + ("; 0, too, if all steps are taken and only the weights are not exported" if name == "train" else ""),
        )
        if name == "evaluate":
            evaluate.add(sub)
        if name == "calibrate":
            calibrate.add(sub)
        if name == "redteam":
            redteam.add(sub)
        if name == "release":
            release.add(sub)
        if name in ("run", "curate", "tokenize"):
            sub.add_argument(
                "--engine",
                default="local",
                metavar="ENGINE",
                help="for curation and tokens: local (default), ray (started here) or ray:ADDRESS (a cluster)",
            )
        if name == "train":
            sub.add_argument("--steps", type=int, metavar="N", help="stop after N optimizer steps, with a checkpoint")
            sub.add_argument(
                "--phase", metavar="NAME", help="up to this phase of the recipe; main: before them (default: the last)"
            )
            sub.add_argument(
                "--profile", metavar="A:B", help="record a torch.profiler trace of steps A to B - 1 on every rank"
            )
        if name in ("run", "train"):
            sub.add_argument(
                "--allow",
                action="append",
                default=[],
                metavar="SECTION.KEY",
                help="go on with training although this recipe value differs from what it was begun with",
            )
            sub.add_argument(
                "--from-step-0",
                action="store_true",
                help="begin at step 0 although there are checkpoints, when none of them can be used; they are kept",
            )
            sub.add_argument(
                "--log-to",
                action="append",
                default=[],
                metavar="TOOL",
                help="show training in tensorboard or wandb, too (optional packages)",
            )


def run(options: argparse.Namespace) -> int:
    other = _of_no_recipe(options)
    return other(options) if other is not None else _run_stages(options)


def _of_no_recipe(options: argparse.Namespace) -> Callable[[argparse.Namespace], int] | None:
    """What the command does with something else in a recipe's place."""
    if options.last == "evaluate" and evaluate.is_model(options):
        return evaluate.run
    if options.last == "calibrate" and calibrate.is_evaluation(options):
        return calibrate.run
    if options.last == "redteam" and redteam.is_model(options):
        return redteam.run
    if options.last == "release" and not options.whole and release.is_action(options):
        return release.run
    return None


def _run_stages(options: argparse.Namespace) -> int:
    recipe, cluster, layout = read_inputs(options)
    from altiplano.stages.run import first_to_do, is_only_export_left, run_until

    chosen = training_of(recipe, getattr(options, "phase", None))
    last_stage = chosen.stage if options.last == MAIN else options.last
    if options.force and options.last == MAIN and recipe.phases and not getattr(options, "phase", None):
        raise InputError(
            f"--force: say which training with --phase: {', '.join(one.phase for one in trainings(recipe))}"
        )
    workspace = options.workspace or Path("runs") / recipe.name
    if options.check:
        missing = first_to_do(last_stage, recipe, cluster, layout, workspace)
        is_of_devices = options.last == MAIN and not options.export_only
        if missing and is_of_devices and is_only_export_left(last_stage, recipe, cluster, layout, workspace):
            missing = ""
        return complain(f"{missing} is not up to date in {workspace}", 1) if missing else 0
    stop_after = getattr(options, "steps", None)
    if stop_after is not None and stop_after < 1:
        raise InputError(f"--steps {stop_after}: give a number of steps above 0")
    log_to = tuple(getattr(options, "log_to", ()))
    if log_to:
        from altiplano.training.loggers import check_loggers

        check_loggers(log_to)
    profile = parse_steps(options.profile) if getattr(options, "profile", None) else None
    outcomes = run_until(
        last_stage,
        recipe,
        cluster,
        layout,
        workspace,
        force=options.force,
        stop_after=stop_after,
        profile=profile,
        allow=tuple(getattr(options, "allow", ())),
        export_only=options.export_only,
        from_step_0=getattr(options, "from_step_0", False),
        log_to=log_to,
        engine=getattr(options, "engine", "local"),
    )
    failed = [outcome for outcome in outcomes if not outcome.result.passed]
    is_publisher = os.environ.get("RANK", "0") == "0"
    if is_publisher and not outcomes[-1].result.finished:
        last = outcomes[-1]
        if last.result.counts["steps"] < _steps_wanted(recipe, last.stage, stop_after):
            return complain(GO_ON, INTERRUPTED)
        return 0 if options.last == MAIN else complain(last.result.message, 1)
    if options.whole and is_publisher:
        from altiplano.report import report
        from altiplano.report.terminal import print_summary

        report(workspace)
        print_summary(workspace)
    if options.last == "release" and is_publisher and not failed:
        release.remind(workspace / "release")
    if failed:
        return complain(failed[0].result.message or f"the gate of {failed[0].stage} failed", 1)
    return 0


def _steps_wanted(recipe: Recipe, stage: str, stop_after: int | None) -> int:
    """Of the training that is ``stage``, when the command was to stop after so many steps of all trainings."""
    before = 0
    for one in trainings(recipe):
        if one.stage == stage:
            return one.recipe.batch.steps if stop_after is None else min(one.recipe.batch.steps, stop_after - before)
        before += one.recipe.batch.steps
    raise AssertionError(stage)  # nothing else stays unfinished


def parse_steps(text: str) -> tuple[int, int]:
    """``"10"`` or ``"10:13"`` (10, 11, 12), counted from 1 as on the terminal. Raises InputError for anything else."""
    first, _, last = text.partition(":")
    if first.isdigit() and (last.isdigit() or not last):
        steps = (int(first), int(last) if last else int(first) + 1)
        if 0 < steps[0] < steps[1]:
            return steps
    raise InputError(f'--profile {text}: give a step such as "10", or a range such as "10:13"')
