"""``altiplano redteam MODEL``: any model attacked, with or without its training text. Of a recipe it is a stage."""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from altiplano.cli.arguments import MODEL, add_device, complain, is_folder
from altiplano.errors import InputError
from altiplano.recipe.schema import RedteamConfig
from altiplano.records import Redteam

if TYPE_CHECKING:
    from altiplano.inference.language_model import LanguageModel
    from altiplano.redteam.attack import Corpus
    from altiplano.redteam.runner import Maker

EXAMPLES = """
  altiplano redteam runs/quickstart --trials 40
  altiplano redteam runs/quickstart/release --seconds 60 --output redteam/release
  altiplano redteam redteam/NAME --labels labels.json

A model in place of a recipe is attacked with prompts, and a run's folder with its training text, too. A killed
command goes on where it stopped. review.html in the folder of results asks people for labels of the findings;
the file that it saves comes back with --labels (docs/guides/redteam.md)."""

REVIEW = "review.html"
ONLY_MODEL = (
    "output", "corpus", "seconds", "trials", "settings", "labels", "device", "probes", "garak", "pairs", "questions",
    "no_own", "judge", "int8", "finetune", "temperature",
)  # fmt: skip


def add(sub: argparse.ArgumentParser) -> None:
    sub.epilog = (sub.epilog or "").replace("\n\n", EXAMPLES + "\n\n", 1)
    group = sub.add_argument_group("where RECIPE is " + MODEL)
    group.add_argument("--output", type=Path, metavar="FOLDER", help="where results go (default: redteam/MODEL)")
    group.add_argument(
        "--corpus", type=Path, metavar="RUN", help="the run whose text it was trained on (default: of a run, itself)"
    )
    group.add_argument("--seconds", type=float, metavar="S", help="ask no more prompts after this time")
    group.add_argument("--trials", type=int, metavar="N", help="prompts of each probe (default: 300)")
    group.add_argument(
        "--settings", type=Path, metavar="FILE", help="a recipe whose [redteam] has the limits (default: a run's own)"
    )
    group.add_argument(
        "--labels", type=Path, metavar="FILE", help="of a folder of results: labels of people, from its review.html"
    )
    group.add_argument(
        "--probes", nargs="+", type=Path, default=[], metavar="FILE", help="more probe sets (TOML), beside our own"
    )
    group.add_argument(
        "--garak",
        nargs="+",
        default=[],
        metavar="PROBE",
        help="probes of garak, where it is installed, such as lmrc.Profanity",
    )
    group.add_argument(
        "--pairs", nargs="+", type=Path, default=[], metavar="FILE", help="sentence pairs of StereoSet or CrowS-Pairs"
    )
    group.add_argument(
        "--questions", nargs="+", type=Path, default=[], metavar="FILE", help="questions of BBQ or TruthfulQA"
    )
    group.add_argument("--temperature", type=float, metavar="T", help="of what it says (default: what it is served at)")
    group.add_argument("--judge", metavar="URL", help="of a folder of results: an OpenAI-compatible endpoint, .../v1")
    group.add_argument("--judge-model", default="judge", metavar="NAME", help="its model (key: OPENAI_API_KEY)")
    group.add_argument("--int8", action="store_true", help="round the weights to 8 bits first")
    group.add_argument(
        "--finetune",
        type=int,
        metavar="STEPS",
        help="first train on our harmful stand-ins, as anybody could",
    )
    group.add_argument(
        "--no-own", action="store_true", help="only what --probes, --garak, --pairs and --questions name"
    )
    add_device(group)


def is_model(options: argparse.Namespace) -> bool:
    """Whether the first argument is a model or results, where a recipe is a TOML file or a name."""
    given = [name for name in ONLY_MODEL if getattr(options, name, None)]
    named = is_folder(options.recipe) or Path(options.recipe).suffix == ".gguf"
    if given and not named:
        raise InputError(f"{options.recipe} is a recipe or no model: --{given[0].replace('_', '-')} is for {MODEL}")
    return named


def run(options: argparse.Namespace) -> int:
    if options.trials is not None and options.trials < 1:
        raise InputError(f"--trials {options.trials}: give a number of prompts above 0")
    if options.seconds is not None and options.seconds <= 0:
        raise InputError(f"--seconds {options.seconds}: give a time above 0")
    if options.temperature is not None and options.temperature < 0:
        raise InputError(f"--temperature {options.temperature}: give a number of 0 or more")
    if options.finetune is not None and options.finetune < 1:
        raise InputError(f"--finetune {options.finetune}: give a number of steps above 0")
    return _relabel(options) if options.labels or options.judge else _attack(options)


def _attack(options: argparse.Namespace) -> int:
    from altiplano.cli.asked_model import asked_model, on_ranks, ranks_to_start
    from altiplano.recipe.load import load_recipe
    from altiplano.redteam.attack import Corpus

    model = Path(options.recipe)
    recipe = options.settings or (model / "recipe.toml" if (model / "recipe.toml").exists() else None)
    settings = load_recipe(recipe).redteam if recipe else RedteamConfig()
    if options.trials:
        settings = settings.model_copy(
            update={"trials": options.trials, "mode_trials": min(settings.mode_trials, options.trials)}
        )
    trained = options.corpus or (model if (model / "tokenize").is_dir() else None)
    corpus = Corpus(trained / "curate", trained / "tokenize") if trained else None
    for folder in (corpus.curate, corpus.tokenize) if corpus else ():
        if not folder.is_dir():
            raise InputError(f"{folder} is not there: --corpus takes the folder of a run that curated and tokenized")
    if count := ranks_to_start(options):
        return on_ranks(count, options)
    with asked_model(options, options.device, options.precision) as asked:
        return 0 if asked is None else _attack_one(*asked, options, settings, corpus)


def _attack_one(
    served: "LanguageModel",
    fingerprint: str,
    options: argparse.Namespace,
    settings: RedteamConfig,
    corpus: "Corpus | None",
) -> int:
    from altiplano.inference.rounding import rounded
    from altiplano.redteam.attack import attack

    if options.temperature is not None:
        served = served.at(options.temperature)
    unchanged = Path("redteam") / served.name
    served = _changed(served, options)
    folder = options.output or Path("redteam") / served.name
    found = rounded(
        attack(
            served,
            settings,
            0,
            folder,
            corpus=corpus,
            fingerprint=fingerprint if served.name == unchanged.name else f"{fingerprint} {served.name}",
            seconds=options.seconds,
            more=_more(options, settings),
            own=not options.no_own,
            pairs=options.pairs,
            asked=options.questions,
        )
    )
    before = unchanged / "redteam.json"
    return _show(found, folder, before if folder != unchanged and before.exists() else None)


def _changed(served: "LanguageModel", options: argparse.Namespace) -> "LanguageModel":
    """The model as somebody who has its weights may change it."""
    if not options.finetune and not options.int8:
        return served
    from altiplano.inference.language_model import LocalModel
    from altiplano.redteam.open_weights import finetune, round_to_int8
    from altiplano.redteam.probes.probe_set import own_sets

    if not isinstance(served, LocalModel):
        raise InputError("--finetune and --int8 change weights in one process: leave out --layout")
    name = served.name
    if options.finetune:
        losses = finetune(served, own_sets(), options.finetune, 0)
        print(f"trained on harmful stand-ins: loss {losses[0]:.3f} to {losses[-1]:.3f} nats per token")
        name += f"-finetuned-{options.finetune}"
    if options.int8:
        round_to_int8(served)
        name += "-int8"
    return replace(served, name=name)


def _more(options: argparse.Namespace, settings: RedteamConfig) -> "dict[str, Maker]":
    """Probes that the command names. Their files are read first: faults show at once."""
    from functools import partial

    from altiplano.redteam.outside import garak_probe, require_garak
    from altiplano.redteam.probes.probe_set import make_probe, read_set
    from altiplano.redteam.questions import read_questions

    makers: dict[str, Maker] = {}
    for path in options.probes:
        found, name = read_set(path), path.stem.replace("_", " ")
        makers[name] = partial(make_probe, name, found, settings.trials, settings.mode_trials, 0)
    for path in options.questions:
        read_questions(path)
    if options.garak:
        require_garak()
    for name in options.garak:
        makers[f"garak {name}"] = partial(garak_probe, name, settings.trials)
    return makers


def _relabel(options: argparse.Namespace) -> int:
    from altiplano.inference.rounding import rounded
    from altiplano.recipe.load import load_recipe
    from altiplano.redteam.judge import JUDGE, ask_judge
    from altiplano.redteam.review import findings, read_labels, relabelled

    folder = Path(options.recipe)
    settings = load_recipe(options.settings).redteam if options.settings else RedteamConfig()
    labels = dict(read_labels(options.labels)) if options.labels else {}
    if options.judge:
        judged, unclear = ask_judge(folder, findings(folder), options.judge, options.judge_model)
        labels = judged | labels  # people outweigh the judge
        print(f"{len(judged):,} findings judged, {unclear:,} answers neither yes nor no: {folder / JUDGE}")
    return _show(rounded(relabelled(folder, labels, settings)), folder)


def _show(found: Redteam, folder: Path, before: Path | None = None) -> int:
    from rich.console import Console

    from altiplano.redteam.review import findings
    from altiplano.report.redteam_table import change_table, redteam_table
    from altiplano.report.review_page import write_review_page

    found.write(folder / "redteam.json")
    write_review_page(found, findings(folder), folder / REVIEW)
    console = Console()
    console.print(redteam_table(found))
    if before is not None:
        console.print(change_table(Redteam.read(before), found))
    print(folder / "redteam.json", folder / REVIEW, sep="\n")
    failed = [line.name for line in found.gate if not line.passed]
    return complain(f"the gate failed: {', '.join(failed)}", 1) if failed else 0
