"""``altiplano plan``: what training or curating costs on a cluster."""

import argparse
from pathlib import Path

from altiplano.cli.arguments import Commands, add_cluster, add_command, add_recipe, complain
from altiplano.errors import DoesNotFit
from altiplano.recipe.load import load_cluster, load_recipe


def add(commands: Commands) -> None:
    plan = add_command(
        commands,
        "plan",
        "say what a recipe costs on a cluster, whether it fits, and where what is stated contradicts itself",
        run,
        "examples:\n  altiplano plan llama-3.1-405b --cluster h100-2048\n"
        "  altiplano plan llama-3.1-405b --cluster h100-2048 --what-if gpus=8192,16384 --stack meta-llama3\n"
        "  altiplano plan small --html plan.html\n"
        "  altiplano plan llama-3.1-405b --stage corpus --from runs/small\n\n"
        "Exit status: 0 it fits, 1 it does not, 2 bad input.",
    )
    add_recipe(plan)
    add_cluster(plan)
    plan.add_argument(
        "--stack",
        default="",
        metavar="NAME",
        help="software to plan for: nvidia-nemo, meta-llama3, torchtitan-bf16, altiplano, …",
    )
    plan.add_argument("--precision", default="", metavar="P", help="bf16, fp8 or fp32 (default: the recipe's)")
    plan.add_argument("--json", action="store_true", help="print JSON (docs/reference/json-output.md has its keys)")
    plan.add_argument("--html", type=Path, metavar="FILE", help="write a page with charts, too")
    plan.add_argument("--what-if", metavar="gpus=N,M", help="plan for these numbers of devices, too")
    plan.add_argument("--compare", metavar="RECIPE2", help="plan another recipe beside it")
    plan.add_argument(
        "--stage", choices=["train", "corpus"], default="train", help="corpus: curating and tokenizing (default: train)"
    )
    plan.add_argument("--from", type=Path, metavar="RUN", dest="run", help="corpus: take yields from a finished run")
    plan.add_argument(
        "--cores", type=int, default=4096, metavar="N", help="corpus: cores to curate with (default: 4096)"
    )


def run(options: argparse.Namespace) -> int:
    if options.stage == "corpus":
        return plan_curation(options)
    from altiplano.planning.output.phases import phases_json, phases_text, plan_phases
    from altiplano.planning.output.plans import make_plans, print_plans

    recipe, cluster = load_recipe(options.recipe, options.overrides), load_cluster(options.cluster)
    other = load_recipe(options.compare) if options.compare else None
    try:
        plans = make_plans(recipe, cluster, options.layout, options.stack, options.precision, options.what_if, other)
    except DoesNotFit as error:
        return complain(str(error), 1)
    main = plans[0].plan
    # beside other numbers of devices, or another recipe, stands the main training alone
    is_alone = main is not None and not options.what_if and not options.compare
    phases = plan_phases(recipe, cluster, options.layout, options.stack, options.precision) if is_alone else []
    if options.html and main is not None:
        from altiplano.report import write_page

        write_page(main, options.html, phases)
    more = phases_json(main, phases) if main is not None and phases else {}
    print_plans(plans, options.json, more)
    if main is not None and phases and not options.json:
        print("\n" + phases_text(main, phases))
    elif recipe.phases and not phases and not options.json:
        print(f"\nphases that are not in these columns: {', '.join(one.name for one in recipe.phases)}")
    return 0 if all(one.fits for one in [*plans, *phases]) else 1


def plan_curation(options: argparse.Namespace) -> int:
    from altiplano.planning.curation.curation_plan import plan_corpus, print_corpus_plan
    from altiplano.planning.curation.measured_rates import recorded, yields_of_run

    recipe = load_recipe(options.recipe, options.overrides)
    yields = yields_of_run(options.run) if options.run else None
    print_corpus_plan(plan_corpus(recipe, recorded(), yields, options.cores), options.json)
    return 0
