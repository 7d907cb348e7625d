"""The command line: what may be typed, what its help says, and what becomes of errors."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from altiplano import __version__
from altiplano.commands import (
    GO_ON,
    check_folder,
    checkpoint_command,
    complain,
    generate_text,
    inspect_run,
    launch_training,
    plan_run,
    rehearse_run,
    run_stages,
    serve_model,
    show_recipe,
    write_report,
)
from altiplano.errors import INTERRUPTED, InputError, StageFailed, TrainingError, explain_os_error
from altiplano.recipe.layout import SPELLING

# Before torch starts its threads: idle ones sleep instead of spinning. Measured on two cores, that costs nothing when
# the machine is free and saves up to nine tenths of the time when it is busy.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

STAGES = {
    "curate": "raw files to decided, deduplicated documents, with an audit of what was dropped and why",
    "tokenize": "documents to a vocabulary and token shards",
    "train": "token shards to weights, spread by a layout; resumes from its newest checkpoint",
    "evaluate": "held-out perplexity and bits per byte, per domain and language, with confidence intervals",
    "calibrate": "one temperature fitted on held-out text; calibration error before and after",
    "redteam": "memorisation, personal data and prompt probes against controls; fails when the gate does",
    "release": "a Hugging Face folder, its model card, and the gate before it",
}
RUN_EXAMPLES = """examples:
  altiplano {command} recipes/quickstart.toml
  altiplano {command} recipes/small.toml --set corpus.root=PATH --set batch.total_tokens=20M

Stages before it that are missing or out of date are run first; finished ones are skipped.
Counts take K, M, B, T (thousands) and Ki, Mi (1,024); sizes take kB, MB, GiB.
Exit status: 0 done, 1 a gate failed or training cannot go on, 2 bad input, 130 interrupted.
Ctrl-C is safe at any time: the same command goes on where it stopped."""


AGAIN = (
    "compute {what} again even if it is up to date; a stage before it whose unfinished work was begun with other "
    "settings begins anew"
)


def main(arguments: Sequence[str] | None = None) -> None:
    code = run(sys.argv[1:] if arguments is None else arguments)
    sys.stdout.flush()
    sys.stderr.flush()
    # Not sys.exit: an interpreter that shuts down after gloo sometimes aborts in its threads.
    os._exit(code)


RENAMED = {"--again": "--force", "--view": "--log-to"}


def run(arguments: Sequence[str]) -> int:
    for argument in arguments:
        if (old := argument.partition("=")[0]) in RENAMED:
            return complain(f"{old} is now called {RENAMED[old]}", 2)
    options = parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = options.command
    try:
        return command(options)
    except InputError as error:
        return complain(str(error), 2)
    except TrainingError as error:
        return complain(str(error), 1)
    except StageFailed as error:
        return complain(GO_ON, INTERRUPTED) if error.code == INTERRUPTED else error.code
    except KeyboardInterrupt:
        return complain(GO_ON if command is run_stages else "interrupted", INTERRUPTED)
    except BrokenPipeError:
        return 1
    except OSError as error:
        explanation = explain_os_error(error)
        if explanation is None:
            raise
        return complain(explanation, 2)


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="altiplano",
        description="From raw text to a released Llama-class base model, by one recipe.",
        epilog="altiplano COMMAND --help explains a command. Start with: altiplano run recipes/quickstart.toml",
    )
    top.add_argument("--version", action="version", version=f"altiplano {__version__}")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def add(
        name: str, help_text: str, command: Callable[[argparse.Namespace], int], epilog: str
    ) -> argparse.ArgumentParser:
        sub = commands.add_parser(
            name,
            help=help_text,
            description=help_text[0].upper() + help_text[1:] + ".",
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        sub.set_defaults(command=command)
        return sub

    for name, text in {"run": "every stage below, in order, ending with a report", **STAGES}.items():
        sub = add(name, text, run_stages, RUN_EXAMPLES.format(command=name))
        sub.set_defaults(last="release" if name == "run" else name, whole=name == "run")
        add_recipe(sub)
        add_cluster(sub)
        sub.add_argument("--workspace", type=Path, metavar="FOLDER", help="where results go (default: runs/NAME)")
        sub.add_argument(
            "--force", action="store_true", help=AGAIN.format(what="the release" if name == "run" else "this stage")
        )
        sub.add_argument(
            "--check", action="store_true", help="compute nothing; exit status 0 if all is up to date, 1 if not"
        )
        if name in ("run", "curate"):
            sub.add_argument(
                "--engine",
                default="local",
                metavar="ENGINE",
                help="what curation runs on: local (default), ray (started here) or ray:ADDRESS (a cluster)",
            )
        if name == "train":
            sub.add_argument("--steps", type=int, metavar="N", help="stop after N optimizer steps, with a checkpoint")
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

    recipe = add(
        "recipe",
        "print a recipe with every default filled in, or check it",
        show_recipe,
        "examples:\n  altiplano recipe show llama-3.1-405b\n"
        "  altiplano recipe validate recipes/small.toml --layout dp2.tp2.pp2",
    )
    recipe.add_argument("action", choices=["show", "validate"])
    add_recipe(recipe)
    add_cluster(recipe)
    recipe.add_argument("--json", action="store_true", help="print JSON instead of TOML")

    saved = add(
        "checkpoint",
        "list, verify or convert the checkpoints of a run",
        checkpoint_command,
        "examples:\n  altiplano checkpoint list runs/quickstart\n"
        "  altiplano checkpoint verify runs/quickstart\n"
        "  altiplano checkpoint convert runs/quickstart/train/checkpoints/step-00000300 model-at-300",
    )
    saved.add_argument("action", choices=["list", "verify", "convert"])
    saved.add_argument(
        "place", type=Path, metavar="RUN", help="a run's folder (convert: its newest checkpoint), or one checkpoint"
    )
    saved.add_argument(
        "out", type=Path, nargs="?", metavar="OUT", help="convert: the Hugging Face folder to write, which must be new"
    )
    saved.add_argument("--json", action="store_true", help="print JSON instead of a table")

    plan = add(
        "plan",
        "say what a recipe costs on a cluster, whether it fits, and where what is stated contradicts itself",
        plan_run,
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
    plan.add_argument("--json", action="store_true", help="print JSON (docs/plan.md has its keys)")
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

    rehearsal = add(
        "rehearse",
        "step the training code once as ranks of a large job would, without the job, and compare with the plan",
        rehearse_run,
        "examples:\n  altiplano rehearse llama-3.1-405b --cluster h100-2048\n"
        "  altiplano rehearse RECIPE --cluster CLUSTER.toml --layout dp8.tp4.pp4 --json\n\n"
        "Exit status: 0 as planned, 1 not, or the step fails, 2 bad input.",
    )
    add_recipe(rehearsal)
    add_cluster(rehearsal)
    rehearsal.add_argument("--json", action="store_true", help="print JSON (docs/rehearse.md has its keys)")

    launch = add(
        "launch",
        "write or submit the job that trains on this machine, a SLURM cluster or Kubernetes",
        launch_training,
        "examples:\n  altiplano launch llama-3.1-8b --cluster h100-8 --on slurm --out train.sbatch\n"
        "  altiplano launch llama-3.1-8b --cluster CLUSTER.toml --on kubernetes --submit",
    )
    add_recipe(launch)
    add_cluster(launch)
    launch.add_argument("--on", required=True, metavar="PLACE", help="local, slurm or kubernetes")
    launch.add_argument("--nodes", type=int, metavar="N", help="nodes to use (default: what the layout fills)")
    launch.add_argument("--workspace", type=Path, metavar="FOLDER", help="where results go (default: runs/NAME)")
    launch.add_argument("--out", type=Path, metavar="FILE", help="write the job here (default: print it)")
    launch.add_argument("--submit", action="store_true", help="start it: with bash, sbatch or kubectl")

    look = add(
        "inspect",
        "look at a run's documents, at why one was kept or dropped, and at its tokens",
        inspect_run,
        "examples:\n  altiplano inspect runs/quickstart\n"
        '  altiplano inspect runs/quickstart --documents --reason "too short" --language de\n'
        "  altiplano inspect runs/quickstart 3f2a91\n"
        "  altiplano inspect runs/quickstart --tokens web.en --document 0",
    )
    look.add_argument("run", type=Path, metavar="RUN", help="a run's folder")
    look.add_argument("id", nargs="?", metavar="ID", help="a document: its id, the beginning of it, or its URL")
    look.add_argument("--documents", action="store_true", help="list documents")
    look.add_argument("--reason", metavar="R", help='those dropped for this reason, such as "too short"')
    look.add_argument("--language", metavar="L", help="those in this language, such as de")
    look.add_argument("--domain", metavar="D", help="those of web, academic, reference or code")
    look.add_argument("--kept", action="store_true", help="those that were kept")
    look.add_argument("--contains", default="", metavar="TEXT", help="those with this text, in any case")
    look.add_argument("--limit", type=int, default=20, metavar="N", help="documents to list at most (default: 20)")
    look.add_argument(
        "--tokens", nargs="?", const="", metavar="SHARD", help="token shards, or one, such as web.en or heldout/web.en"
    )
    look.add_argument("--document", type=int, metavar="N", help="with --tokens SHARD: the tokens of document N, from 0")
    look.add_argument("--full", action="store_true", help="the whole text, all tokens")
    look.add_argument("--json", action="store_true", help="print JSON (docs/inspect.md)")

    report = add(
        "report",
        "write one self-contained HTML page about a run",
        write_report,
        "examples:\n  altiplano report runs/quickstart\n  altiplano report runs/a --compare runs/b",
    )
    report.add_argument("workspace", type=Path, metavar="RUN", help="the run's folder")
    report.add_argument(
        "--compare", type=Path, metavar="OTHER", help="draw the training curves of this run behind its own"
    )

    generate = add(
        "generate",
        "continue a prompt with a released model",
        generate_text,
        'example:\n  altiplano generate runs/quickstart/release "def main(" --tokens 64',
    )
    generate.add_argument("model", type=Path, help="a released model's folder")
    generate.add_argument("prompt", nargs="?", help="text to continue (default: read it from standard input)")
    generate.add_argument(
        "--tokens", type=int, default=64, metavar="N", help="tokens to generate at most (default: 64)"
    )
    generate.add_argument("--temperature", type=float, default=None, help="0 is greedy (default: the calibrated one)")
    generate.add_argument("--top-p", type=float, default=1.0, metavar="P", help="nucleus sampling (default: 1, off)")
    generate.add_argument(
        "--top-k", type=int, default=0, metavar="K", help="keep the K likeliest tokens (default: 0, all)"
    )
    generate.add_argument("--seed", type=int, default=0, help="the same seed gives the same text (default: 0)")

    serve = add(
        "serve",
        "serve a released model with OpenAI's completions protocol",
        serve_model,
        "example:\n  altiplano serve runs/quickstart/release --port 8000\n"
        '  curl -s 127.0.0.1:8000/v1/completions -d \'{"prompt": "def ", "max_tokens": 16}\'',
    )
    serve.add_argument("model", type=Path, help="a released model's folder")
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this machine only)")
    serve.add_argument("--port", type=int, default=8000, help="TCP port (default: 8000)")

    doctor = add(
        "doctor",
        "check a model folder for mistakes that other tools would not notice; or say what this machine is and can do",
        check_folder,
        "examples:\n  altiplano doctor\n  altiplano doctor runs/quickstart/release\n"
        "  altiplano doctor --measure this-machine.toml\n\n"
        'A cluster file takes what was measured as chip = "this-machine.toml".',
    )
    doctor.add_argument("model", type=Path, nargs="?", help="a Hugging Face Llama folder (default: this machine)")
    doctor.add_argument(
        "--measure", type=Path, metavar="FILE", help="write what this machine can do: products, memory, disk"
    )
    return top


def add_recipe(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("recipe", metavar="RECIPE", help="a TOML file, or the name of a recipe that comes with Altiplano")
    sub.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="SECTION.KEY=VALUE",
        dest="overrides",
        help="override a recipe value",
    )


def add_cluster(sub: argparse.ArgumentParser) -> None:
    sub.add_argument(
        "--cluster", default="laptop", metavar="FILE", help="hardware, a TOML file or a name (default: laptop)"
    )
    sub.add_argument(
        "--layout",
        metavar="L",
        help=f"how to spread the model, {SPELLING}; or auto: the fastest that fits, as planned "
        "(default: the cluster's; of plan: auto)",
    )
