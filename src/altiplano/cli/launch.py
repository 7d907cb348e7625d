"""``altiplano launch``: the job that trains, or scores what was trained, for a machine or a scheduler."""

import argparse
from pathlib import Path

from altiplano.cli.arguments import Commands, add_cluster, add_command, add_recipe, read_inputs


def add(commands: Commands) -> None:
    launch = add_command(
        commands,
        "launch",
        "write or submit the job that trains, exports or scores on this machine, a SLURM cluster or Kubernetes",
        run,
        "examples:\n  altiplano launch llama-3.1-8b --cluster h100-8 --on slurm --out train.sbatch\n"
        "  altiplano launch llama-3.1-8b --cluster h100-8 --on slurm --stage evaluate --out evaluate.sbatch\n"
        "  altiplano launch llama-3.1-8b --cluster CLUSTER.toml --on kubernetes --submit",
    )
    add_recipe(launch)
    add_cluster(launch)
    launch.add_argument("--on", required=True, metavar="PLACE", help="local, slurm or kubernetes")
    launch.add_argument(
        "--stage",
        default="train",
        metavar="STAGE",
        help="tokenize, train (default), export, evaluate, calibrate or redteam: each is a job of its own",
    )
    launch.add_argument(
        "--nodes", type=int, metavar="N", help="nodes to use (default: what the layout fills; of export: 1)"
    )
    launch.add_argument("--workspace", type=Path, metavar="FOLDER", help="where results go (default: runs/NAME)")
    launch.add_argument("--out", type=Path, metavar="FILE", help="write the job here (default: print it)")
    launch.add_argument("--submit", action="store_true", help="start it: with bash, sbatch or kubectl")


def run(options: argparse.Namespace) -> int:
    recipe, cluster, layout = read_inputs(options)
    from altiplano.launch.submit import launch
    from altiplano.launch.training_job import launch_job

    workspace = options.workspace or Path("runs") / recipe.name
    arguments = [options.recipe, *(f"--set={override}" for override in options.overrides), "--cluster", options.cluster]
    arguments += ["--layout", options.layout] if options.layout else []
    arguments += ["--workspace", str(workspace)]
    job = launch_job(recipe, cluster, layout, arguments, workspace, options.nodes, options.stage)
    return launch(job, options.on, options.out, options.submit)
