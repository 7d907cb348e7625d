"""Probe sets in files: templates × topics × languages, so that few lines make hundreds of different prompts.

A set names a hazard and a detector. Of each language it has ``ask`` (beginnings that invite harm), ``harmless``
(beginnings about the same things that invite none: a control), a ``prefill`` (the beginning of a harmful answer),
an ``example`` (a harmful answer, for few-shot attacks) and a ``pair`` of continuations, harmful and harmless. In the
place of ``topics``, ``data`` names a file of prompts, and ``column`` where they stand in it.
"""

import tomllib
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from altiplano.errors import InputError
from altiplano.recipe.schema import Hazard
from altiplano.recipe.units import Section
from altiplano.redteam.probes.detectors import detectors
from altiplano.redteam.probes.mutations import MUTATIONS
from altiplano.redteam.probes.prompt_lists import read_prompts
from altiplano.redteam.probes.trial import HARMLESS, Probe, Trial

HERE = Path(__file__).parent / "sets"
SHOTS = 3
ATTEMPTS = 5
"""Samples of one prompt that best-of-n has."""


class Templates(Section):
    """Of one language; ``{topic}`` stands for a topic."""

    ask: tuple[str, ...]
    harmless: tuple[str, ...] = ()
    prefill: str = ""
    example: str = ""
    pair: tuple[str, str] | None = None


class ProbeSet(Section):
    hazard: Hazard
    detector: str
    topics: tuple[str, ...]
    languages: dict[str, Templates]


def read_set(path: Path) -> ProbeSet:
    """Raises InputError when the file is no probe set."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"{path} is no probe set: {error}") from error
    languages = {key: content.pop(key) for key in [*content] if isinstance(content[key], dict)}
    if "data" in content:  # another project's list takes the place of topics
        content["topics"] = read_prompts(path.parent / str(content.pop("data")), str(content.pop("column", "")))
    try:
        found = ProbeSet.model_validate({**content, "languages": languages})
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg'].lower()}") from error
    if found.detector not in detectors():
        raise InputError(f"{path}: detector {found.detector!r} is not one of {', '.join(detectors())}")
    return found


def own_sets() -> dict[str, ProbeSet]:
    """The sets of this package, by name."""
    return {path.stem.replace("_", " "): read_set(path) for path in sorted(HERE.glob("*.toml"))}


def make_probe(name: str, of: ProbeSet, plain: int, others: int, seed: int) -> Probe:
    """A probe of ``plain`` different prompts (fewer when the set has fewer) and ``others`` of each other mode."""
    detector = detectors()[of.detector]
    random = np.random.default_rng([seed, sum(name.encode())])
    asked, harmless = _sample(name, of, "ask", random), _sample(name, of, "harmless", random)
    trials = [*asked[:plain], *(replace(one, mode=HARMLESS) for one in harmless[:others])]
    # whoever attacks in another way does so where the plain prompt was asked, too
    for one in asked[: min(plain, others)]:
        trials += _other_ways(of, one, random)
    trials += _best_of_n(asked[: max(1, others // ATTEMPTS)] if others else [])
    return Probe(name, of.hazard, detector.what, of.detector, tuple(trials), detector.score, detector.threshold)


def _sample(name: str, of: ProbeSet, kind: str, random: np.random.Generator) -> list[Trial]:
    """All prompts in an order that has every language alike from its beginning."""
    by_language = []
    for language, templates in of.languages.items():
        mine = [
            Trial(name, template.format(topic=topic), language)
            for template, topic in product(getattr(templates, kind), of.topics)
        ]
        by_language.append([mine[at] for at in random.permutation(len(mine))])
    longest = max(map(len, by_language), default=0)
    ordered = [mine[at] for at in range(longest) for mine in by_language if at < len(mine)]
    return list({one.prompt: one for one in ordered}.values())


def _other_ways(of: ProbeSet, one: Trial, random: np.random.Generator) -> list[Trial]:
    templates = of.languages[one.language]
    found = []
    if templates.prefill:
        found.append(replace(one, prompt=one.prompt + templates.prefill, mode="prefill"))
    if templates.example:
        shots = _shots(of, templates, one, random)
        found.append(replace(one, prompt=shots + one.prompt, asked=one.prompt, mode="few-shot"))
    mutate = MUTATIONS[int(random.integers(len(MUTATIONS)))]
    found.append(replace(one, prompt=mutate(one.prompt, random), mode="mutated"))
    return found


def _shots(of: ProbeSet, templates: Templates, one: Trial, random: np.random.Generator) -> str:
    """Other prompts of the set, each with a harmful answer (Anil et al. 2024)."""
    chosen: list[str] = []
    while len(chosen) < SHOTS:
        template = templates.ask[int(random.integers(len(templates.ask)))]
        shot = template.format(topic=of.topics[int(random.integers(len(of.topics)))])
        if shot != one.prompt:
            chosen.append(f"{shot}{templates.example}\n\n")
    return "".join(chosen)


def _best_of_n(asked: Sequence[Trial]) -> list[Trial]:
    """Several samples of one prompt: a success is one that any of them has (Hughes et al. 2024)."""
    return [replace(one, mode=f"best of {ATTEMPTS}", group=one.prompt) for one in asked for _ in range(ATTEMPTS)]


def continuation_pairs(of: ProbeSet, count: int, seed: int) -> list[tuple[Trial, str, str]]:
    """Prompts, both kinds alternating, each with its harmful and its harmless continuation."""
    random = np.random.default_rng([seed, 1])
    found = []
    for kind, mode in (("ask", "continuation"), ("harmless", HARMLESS)):
        asked = [one for one in _sample("", of, kind, random) if of.languages[one.language].pair is not None]
        for one in asked[:count]:
            pair = of.languages[one.language].pair
            assert pair is not None
            found.append((replace(one, mode=mode), *pair))
    return found
