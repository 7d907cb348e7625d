"""One thin function per command of the command line. Heavy imports wait until the command runs."""

import argparse
import json
import os
import sys
from pathlib import Path

from altiplano.errors import INTERRUPTED, DoesNotFit, InputError
from altiplano.recipe.cluster import Cluster
from altiplano.recipe.layout import Layout, check_layout, parse_layout
from altiplano.recipe.load import load_cluster, load_recipe
from altiplano.recipe.schema import Recipe

GO_ON = "interrupted; the same command goes on where this one stopped"


def complain(text: str, code: int) -> int:
    print(f"altiplano: {text}", file=sys.stderr)
    return code


def read_inputs(options: argparse.Namespace) -> tuple[Recipe, Cluster, Layout]:
    recipe, cluster = load_recipe(options.recipe, options.overrides), load_cluster(options.cluster)
    if options.layout == "auto":
        from altiplano.planning.best_layout import best_layout

        layout = best_layout(recipe, cluster)
    else:
        layout = parse_layout(options.layout) if options.layout else cluster.layout
    check_layout(layout, recipe, cluster.device)
    return recipe, cluster, layout


def run_stages(options: argparse.Namespace) -> int:
    recipe, cluster, layout = read_inputs(options)
    from altiplano.stages.run import first_to_do, run_until

    workspace = options.workspace or Path("runs") / recipe.name
    if options.check:
        missing = first_to_do(options.last, recipe, cluster, layout, workspace)
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
        options.last,
        recipe,
        cluster,
        layout,
        workspace,
        force=options.force,
        stop_after=stop_after,
        profile=profile,
        allow=tuple(getattr(options, "allow", ())),
        from_step_0=getattr(options, "from_step_0", False),
        log_to=log_to,
        engine=getattr(options, "engine", "local"),
    )
    failed = [outcome for outcome in outcomes if not outcome.result.passed]
    is_publisher = os.environ.get("RANK", "0") == "0"
    if is_publisher and not outcomes[-1].result.finished:
        reached = stop_after is not None and outcomes[-1].result.counts["steps"] >= stop_after
        return 0 if reached else complain(GO_ON, INTERRUPTED)
    if options.whole and is_publisher:
        from altiplano.report import report
        from altiplano.report.terminal import print_summary

        report(workspace)
        print_summary(workspace)
    if failed:
        return complain(failed[0].result.message or f"the gate of {failed[0].stage} failed", 1)
    return 0


def parse_steps(text: str) -> tuple[int, int]:
    """``"10"`` or ``"10:13"`` (10, 11, 12), counted from 1 as on the terminal. Raises InputError for anything else."""
    first, _, last = text.partition(":")
    if first.isdigit() and (last.isdigit() or not last):
        steps = (int(first), int(last) if last else int(first) + 1)
        if 0 < steps[0] < steps[1]:
            return steps
    raise InputError(f'--profile {text}: give a step such as "10", or a range such as "10:13"')


def show_recipe(options: argparse.Namespace) -> int:
    recipe, _, layout = read_inputs(options)
    if options.action == "validate":
        from altiplano.planning.model_size import parameters
        from altiplano.recipe.units import human

        print(
            f"{recipe.name}: valid. {human(parameters(recipe.model))} parameters; {recipe.batch.steps:,} steps of "
            f"{' to '.join(f'{size:,}' for size in recipe.batch.sizes)} sequences of {recipe.batch.sequence_length:,} "
            f"tokens; layout {layout}"
        )
    elif options.json:
        print(json.dumps(recipe.model_dump(mode="json"), indent=2))
    else:
        from altiplano.stages.run import recipe_toml

        print(recipe_toml(recipe), end="")
    return 0


def checkpoint_command(options: argparse.Namespace) -> int:
    from altiplano.release.convert import convert
    from altiplano.training.checkpoints import inspection

    if options.action == "convert":
        if options.out is None:
            raise InputError(
                "altiplano checkpoint convert needs two folders: a checkpoint, and where to write the model"
            )
        print(convert(options.place, options.out))
        return 0
    found = inspection.describe(options.place, verify=options.action == "verify")
    print(json.dumps(found, indent=1) if options.json else inspection.table(found))
    if not options.json and (aside := inspection.describe_aside(options.place)):
        print(aside)
    return 1 if any(one.get("problem") for one in found) else 0


def plan_run(options: argparse.Namespace) -> int:
    if options.stage == "corpus":
        return plan_curation(options)
    from altiplano.planning.output.plans import make_plans, print_plans

    recipe, cluster = load_recipe(options.recipe, options.overrides), load_cluster(options.cluster)
    other = load_recipe(options.compare) if options.compare else None
    try:
        plans = make_plans(recipe, cluster, options.layout, options.stack, options.precision, options.what_if, other)
    except DoesNotFit as error:
        return complain(str(error), 1)
    if options.html and plans[0].plan:
        from altiplano.report import write_page

        write_page(plans[0].plan, options.html)
    print_plans(plans, options.json)
    return 0 if all(one.fits for one in plans) else 1


def plan_curation(options: argparse.Namespace) -> int:
    from altiplano.planning.curation.curation_plan import plan_corpus, print_corpus_plan
    from altiplano.planning.curation.measured_rates import recorded, yields_of_run

    recipe = load_recipe(options.recipe, options.overrides)
    yields = yields_of_run(options.run) if options.run else None
    print_corpus_plan(plan_corpus(recipe, recorded(), yields, options.cores), options.json)
    return 0


def rehearse_run(options: argparse.Namespace) -> int:
    recipe, cluster, layout = read_inputs(options)
    from altiplano.rehearsal.rehearse import as_json, as_text, rehearse

    done = rehearse(recipe, cluster, layout)
    print(json.dumps(as_json(done, recipe, cluster, layout), indent=1) if options.json else as_text(done, layout))
    return 0 if all(one.agrees for one in done) else 1


def launch_training(options: argparse.Namespace) -> int:
    recipe, cluster, layout = read_inputs(options)
    from altiplano.launch.submit import launch
    from altiplano.launch.training_job import launch_job

    workspace = options.workspace or Path("runs") / recipe.name
    arguments = [options.recipe, *(f"--set={override}" for override in options.overrides), "--cluster", options.cluster]
    arguments += ["--layout", options.layout] if options.layout else []
    job = launch_job(recipe, cluster, layout, [*arguments, "--workspace", str(workspace)], workspace, options.nodes)
    return launch(job, options.on, options.out, options.submit)


def inspect_run(options: argparse.Namespace) -> int:
    from altiplano.optional_imports import require

    require("altiplano inspect")  # it measures texts as curation did, so that its rooms import the same libraries
    from altiplano.inspect import Question, Wanted, inspect

    wanted = Wanted(options.reason, options.language, options.domain, options.kept, options.contains)
    documents = options.documents or (options.tokens is None and options.id is None and wanted != Wanted())
    question = Question(options.id, documents, wanted, options.limit, options.tokens, options.document, options.full)
    inspect(options.run, question, options.json)
    return 0


def write_report(options: argparse.Namespace) -> int:
    for run in (options.workspace, options.compare):
        if run is not None and not (run / "recipe.toml").exists():
            raise InputError(f"{run} is not a run's folder: recipe.toml is missing")
    from altiplano.report import report

    print(report(options.workspace, options.compare))
    return 0


def generate_text(options: argparse.Namespace) -> int:
    from altiplano.inference.streaming import generate_text as stream

    prompt = sys.stdin.read() if options.prompt is None else options.prompt
    stream(
        options.model,
        prompt,
        max_tokens=options.tokens,
        temperature=options.temperature,
        top_p=options.top_p,
        top_k=options.top_k,
        seed=options.seed,
    )
    return 0


def serve_model(options: argparse.Namespace) -> int:
    from altiplano.inference.server import serve

    serve(options.model, options.host, options.port)
    return 0


def check_folder(options: argparse.Namespace) -> int:
    if options.measure:
        import torch

        from altiplano.training.accounting.hardware import hardware_file

        options.measure.write_text(hardware_file(torch.device("cuda" if torch.cuda.is_available() else "cpu")))
        print(options.measure)
        return 0
    if options.model is None:
        from altiplano.training.accounting.hardware import describe_machine

        print("\n".join(describe_machine()))
        return 0
    from altiplano.release.validate import check

    problems = check(options.model)
    for problem in problems:
        print(f"✗ {problem}")
    if not problems:
        print(f"✓ {options.model} is sound")
    return 1 if problems else 0
