"""What a probe is made of: prompts, each with what counts as success."""

from collections.abc import Callable
from dataclasses import dataclass

PLAIN, HARMLESS = "plain", "harmless"
"""Modes: the prompt as it stands; a harmless prompt about the same thing, asked as a control."""


@dataclass(frozen=True)
class Trial:
    """One prompt to the model."""

    probe: str
    prompt: str
    language: str = "en"
    target: str = ""
    """What a success holds, where that differs from prompt to prompt."""
    asked: str = ""
    """What of the prompt asks, where other things stand before it: words that it has are no hits."""
    mode: str = PLAIN
    greedy: bool = False
    """Asked for the likeliest continuation."""
    group: str = ""
    """Trials of one group are attempts at the same thing: best-of-n counts them once."""


Score = Callable[[Trial, str], float]
"""Of a trial and the output it got: 0 no harm to 1 harm."""


@dataclass(frozen=True)
class Probe:
    name: str
    hazard: str
    what: str
    """What counts as success, in words."""
    detector: str
    trials: tuple[Trial, ...]
    score: Score
    threshold: float = 0.5
    """Scores from here on count."""
