"""Probes of other projects: garak's prompts and detectors as a library, files of sentence pairs.

Nothing of theirs is in this package: they are read where they are installed or lie.
"""

import importlib
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from altiplano.errors import InputError
from altiplano.inference.language_model import LanguageModel
from altiplano.records import AttackResult
from altiplano.redteam.probes.prompt_lists import rows
from altiplano.redteam.probes.sensitivity import LEAST_POWER
from altiplano.redteam.probes.trial import Probe, Trial
from altiplano.redteam.rates import against_a_coin, compare

GARAK_HAZARDS = {
    "lmrc": "toxicity",
    "realtoxicityprompts": "toxicity",
    "atkgen": "toxicity",
    "continuation": "hate",
    "malwaregen": "malware",
    "exploitation": "malware",
    "web_injection": "malware",
    "encoding": "encodings",
    "smuggling": "encodings",
    "badchars": "encodings",
    "ansiescape": "encodings",
    "dan": "prompt injection",
    "latentinjection": "prompt injection",
    "promptinject": "prompt injection",
    "goodside": "prompt injection",
    "leakreplay": "copyright",
    "propile": "privacy",
    "apikey": "privacy",
    "divergence": "divergence",
    "glitch": "glitch tokens",
    "misleading": "misinformation",
    "snowball": "misinformation",
}
"""By module of garak's probes; others are asked and reported, and are of no hazard of ours."""


def garak_probe(name: str, most: int | None = None) -> Probe:
    """garak's probe ``module.Class`` with its primary detector, at most ``most`` of its prompts.

    Raises InputError without garak, for a name that it does not know, and when its detector has no power by garak's own
    measurement.
    """
    plugins, settings = _garak("garak._plugins"), _garak("garak._config")
    settings.load_base_config()
    try:
        theirs = plugins.load_plugin(f"probes.{name}", config_root=settings)
        names = [theirs.primary_detector] if theirs.primary_detector else [*theirs.recommended_detector]
        detectors = [plugins.load_plugin(f"detectors.{one}", config_root=settings) for one in names]
    except Exception as error:  # whatever its plugins raise
        raise InputError(f"garak's probe {name} cannot be loaded: {' '.join(str(error).split())[:160]}") from error
    for one in names:
        _check_power(one, settings)
    prompts = [text for text in map(_text, theirs.prompts) if text]
    trials = [Trial(f"garak {name}", text, "en", str(place)) for place, text in enumerate(prompts)][:most]

    def judge(trial: Trial, output: str) -> float:
        # its detectors look at attempts, and some at what the probe notes there of this very prompt
        attempt = theirs._mint_attempt(trial.prompt, seq=int(trial.target), lang="en")
        attempt.outputs = [output]
        found = [value for one in detectors for value in one.detect(attempt) if value is not None]
        if not found:
            raise ValueError(f"{', '.join(names)} said nothing")
        return float(max(found))

    hazard = GARAK_HAZARDS.get(name.partition(".")[0], "")
    what = str(getattr(theirs, "goal", "")) or "garak's detector finds it"
    return Probe(f"garak {name}", hazard, what, f"garak {' '.join(names)}", tuple(trials), judge)


def require_garak() -> None:
    """Raise InputError unless garak is installed."""
    _garak("garak._config")


def _garak(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise InputError(
            "garak's probes need garak, which has many dependencies: pip install garak, in an environment of its own "
            "beside altiplano"
        ) from error


def _check_power(detector: str, settings: Any) -> None:
    """garak ships the sensitivity and specificity of some of its detectors."""
    file = Path(settings.__file__).parent / "data" / "detectors_eval" / "detector_metrics_summary.json"
    if not file.exists():
        return
    measured = json.loads(file.read_text(encoding="utf-8"))["results"].get(detector, {}).get("metrics")
    if measured and measured["hit_sensitivity"] + measured["hit_specificity"] <= LEAST_POWER:
        raise InputError(
            f"detector {detector} has no power: sensitivity {measured['hit_sensitivity']:.2f}, specificity "
            f"{measured['hit_specificity']:.2f} by garak's own measurement"
        )


def _text(prompt: Any) -> str:
    """Of a string, a message, or the last turn of a conversation."""
    if isinstance(prompt, str):
        return prompt
    if hasattr(prompt, "turns"):
        return str(prompt.turns[-1].content.text or "") if prompt.turns else ""
    return str(getattr(prompt, "text", "") or "")


def read_pairs(path: Path) -> list[tuple[str, str, str]]:
    """Category, the stereotyped sentence, the other: StereoSet's columns ``context``, ``stereotype``,
    ``anti-stereotype``, or CrowS-Pairs' ``sent_more``, ``sent_less`` with ``stereo_antistereo``. Raises InputError
    when it has neither."""
    found, left_out = [], 0
    for row in rows(path, path.read_text(encoding="utf-8")):
        category = str(row.get("bias_type", ""))
        if "stereotype" in row and "anti-stereotype" in row:
            context = "" if "BLANK" in str(row.get("context", "")) else f"{row.get('context', '')} ".lstrip()
            found.append((category, f"{context}{row['stereotype']}", f"{context}{row['anti-stereotype']}"))
        elif "sent_more" in row and "sent_less" in row:
            both = (str(row["sent_more"]), str(row["sent_less"]))
            found.append((category, *(both if row.get("stereo_antistereo") != "antistereo" else both[::-1])))
        else:
            left_out += 1
    if not found:
        raise InputError(f"{path} has no pairs: columns stereotype and anti-stereotype, or sent_more and sent_less")
    if left_out:
        print(f"warning: {path}: {left_out:,} rows without a pair are left out", file=sys.stderr)
    return found


def paired_sentences(
    served: LanguageModel, path: Path, count: int, seed: int, control: Callable[[Sequence[int]], float]
) -> AttackResult:
    """Of at most ``count`` pairs of a file, how much more often than a coin is the stereotyped sentence likelier?
    Raises InputError when the model can read none of them whole."""
    every = read_pairs(path)
    random = np.random.default_rng(seed)
    drawn = [every[at] for at in sorted(random.permutation(len(every))[:count])]
    asked = [[served.prompt(text) for text in both] for _, *both in drawn]
    # cut, two sentences could be the same
    tokens = [row for both in asked if max(map(len, both)) <= served.context for row in both]
    pairs = len(tokens) // 2
    if not pairs:
        raise InputError(f"{path}: the model reads {served.context} tokens, and every pair is longer")
    values = np.array([float(one.logprobs.double().sum()) for one in served.score(tokens)]).reshape(-1, 2)
    theirs = np.array([control(row) for row in tokens]).reshape(-1, 2)
    differences = values[:, 0] - values[:, 1]
    lost = {"not drawn": len(every) - len(drawn), "too long for the model": len(drawn) - pairs}
    reasons = ", ".join(f"{number:,} {why}" for why, number in lost.items() if number)
    left_out = f"; not asked: {reasons}" if reasons else ""
    result = compare(
        f"pairs: {path.parent.name}/{path.name}",
        f"the stereotyped sentence is likelier than the other{left_out}",
        (differences > 0).tolist(),
        {"bigram": (theirs[:, 0] > theirs[:, 1]).tolist(), "coin": [bool(i % 2) for i in range(pairs)]},
        [],
    )
    return against_a_coin(result, differences, [str(at) for at in range(pairs)])
