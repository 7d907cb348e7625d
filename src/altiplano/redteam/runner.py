"""All prompts of all probes to the model and the controls: in portions, resumable, within a budget.

Probes take turns, so that a budget that ends early has asked of every hazard alike. A probe that breaks ends alone.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from hashlib import sha256
from itertools import islice, zip_longest
from pathlib import Path

from altiplano.errors import InputError
from altiplano.inference.language_model import LanguageModel
from altiplano.progress import track
from altiplano.redteam.probes.trial import Probe, Trial
from altiplano.redteam.responders import Bigram, model, too_long
from altiplano.redteam.transcript import PORTION, Asked, fit_to_show, portion_file, write_portion
from altiplano.storage import json_digest, read_if_there, read_object, write_json

PLAN = "plan.json"


def in_turns(probes: Sequence[Probe]) -> list[Trial]:
    """One trial of each probe after another. Within a probe plain prompts come first, and with every third one another
    mode or control."""
    turns = [_mixed(probe.trials) for probe in probes]
    return [one for turn in zip_longest(*turns) for one in turn if one is not None]


def _mixed(trials: Sequence[Trial]) -> Iterator[Trial]:
    plain, others = ([one for one in trials if (one.mode == "plain") is wanted] for wanted in (True, False))
    # modes take turns, too; attempts of best-of-n stay together
    by_mode: dict[str, list[Trial]] = {}
    for one in others:
        by_mode.setdefault(one.mode, []).append(one)
    rest = iter([one for turn in zip_longest(*by_mode.values()) for one in turn if one is not None])
    each = max(1, -(-len(others) // max(1, len(plain))))
    for one in plain:
        yield one
        yield from islice(rest, each)
    yield from rest


def ask(
    served: LanguageModel,
    probes: Sequence[Probe],
    bigram: Bigram,
    folder: Path,
    *,
    tokens: int,
    seed: int,
    fingerprint: str = "",
    seconds: float | None = None,
) -> int:
    """Ask until all is asked or ``seconds`` have passed, and write ``folder``/transcript. How many prompts the plan
    has.

    What was asked there before, by the same plan and model, is not asked again. Raises InputError when the folder has
    a transcript of another one.
    """
    trials, of = in_turns(probes), {probe.name: probe for probe in probes}
    _claim(folder, served, trials, tokens, seed, fingerprint)
    ends = None if seconds is None else time.monotonic() + seconds
    starts = range(0, len(trials), PORTION)
    for start in track(starts, "red team", len(starts)):
        file = portion_file(folder, start // PORTION)
        if file.exists():
            continue
        if ends is not None and time.monotonic() > ends:
            break
        write_portion(file, list(_portion(served, trials[start : start + PORTION], of, bigram, tokens, seed, start)))
    return len(trials)


def _portion(
    served: LanguageModel,
    trials: Sequence[Trial],
    probes: dict[str, Probe],
    bigram: Bigram,
    tokens: int,
    seed: int,
    first: int,
) -> Iterator[Asked]:
    prompts = [trial.prompt for trial in trials]
    said = model(served, prompts, tokens, seed, first=first, greedy=[trial.greedy for trial in trials])
    chain = bigram.say(served, prompts, tokens, seed + first)
    for trial, output, theirs in zip(trials, said, chain, strict=True):
        probe = probes[trial.probe]
        score, error = _scored(probe, trial, output)
        blank, echo, chance = (_scored(probe, trial, text)[0] >= probe.threshold for text in ("", trial.prompt, theirs))
        yield Asked(
            id=sha256(f"{trial.probe}\0{trial.prompt}\0{output}".encode()).hexdigest()[:16],
            probe=trial.probe,
            hazard=probe.hazard,
            mode=trial.mode,
            language=trial.language,
            group=json_digest(trial.group)[:16] if trial.group else "",
            prompt=fit_to_show(trial.prompt, trial.language),
            output=fit_to_show(output, trial.language),
            score=score,
            hit=score >= probe.threshold,
            blank=blank,
            echo=echo,
            bigram=chance,
            cut=too_long(served, trial.prompt, tokens),
            error=error,
        )


def _scored(probe: Probe, trial: Trial, output: str) -> tuple[float, str]:
    try:
        return float(probe.score(trial, output)), ""
    except Exception as error:  # a detector may be anybody's: its probe is dropped and named, the others go on
        return 0.0, f"{type(error).__name__}: {error}"[:200]


def _claim(
    folder: Path, served: LanguageModel, trials: Sequence[Trial], tokens: int, seed: int, fingerprint: str
) -> None:
    """Say what the folder's transcript is of."""
    wanted = {
        "model": fingerprint or served.name,
        "prompts": json_digest([asdict(trial) for trial in trials]),
        "generation_tokens": tokens,
        "temperature": served.temperature,
        "seed": seed,
    }
    fix = f"nothing else says of which model the transcript is: name another folder with --output, or remove {folder}"
    before = read_if_there(folder / PLAN, read_object, fix)
    if before is not None:
        changed = [key for key, value in wanted.items() if before.get(key) != value]
        if changed:
            raise InputError(
                f"{folder} has a transcript of another {changed[0].replace('_', ' ')}: name another folder with "
                "--output, or remove this one"
            )
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / PLAN, wanted)


Maker = Callable[[], "Probe | None"]


def make_all(makers: dict[str, Maker]) -> tuple[list[Probe], dict[str, str]]:
    """The probes that can be made, and why others cannot."""
    probes, broken = [], {}
    for name, maker in makers.items():
        try:
            probe = maker()
        except Exception as error:  # one bad probe is no reason to test nothing
            broken[name] = f"{type(error).__name__}: {error}"[:200]
            continue
        if probe is None or not probe.trials:
            broken[name] = "its texts are not on this machine"
        else:
            probes.append(probe)
    return probes, broken
