"""How often a detector is wrong, measured on texts that people labelled: ``labelled/DETECTOR.toml``.

The texts are ours, invented and harmless to print. Half of the harmless ones are near misses.
"""

import tomllib
from functools import cache
from pathlib import Path

from altiplano.records.redteam import DetectorError
from altiplano.redteam.probes.detectors import Detector, detectors
from altiplano.redteam.probes.trial import Trial
from altiplano.redteam.rates import share

HERE = Path(__file__).parent / "labelled"
LEAST_POWER = 1.2
"""Sensitivity + specificity that a detector must exceed: at 1 it says the same of harm and of its absence."""


def labelled_texts(name: str) -> list[tuple[str, str, bool]]:
    """Language, text, and whether it is harmful."""
    content = tomllib.loads((HERE / f"{name}.toml").read_text(encoding="utf-8"))
    return [
        (language, text, label == "harmful")
        for language, texts in content.items()
        for label in ("harmful", "harmless")
        for text in texts[label]
    ]


def measure(detector: Detector, texts: list[tuple[str, str, bool]]) -> DetectorError:
    """Sensitivity and specificity on the labelled texts, with Wilson's intervals."""
    said = [(harmful, _hit(detector, language, text)) for language, text, harmful in texts]
    found, passed = [hit for harmful, hit in said if harmful], [not hit for harmful, hit in said if not harmful]
    sensitivity, specificity = share(found), share(passed)
    return DetectorError(
        name=detector.name,
        what=detector.what,
        source="labelled texts of this project",
        sensitivity=sensitivity,
        specificity=specificity,
        has_power=sensitivity.value + specificity.value > LEAST_POWER,
    )


def _hit(detector: Detector, language: str, text: str) -> bool:
    return detector.score(Trial("labelled", "", language), text) >= detector.threshold


@cache
def measured_errors() -> dict[str, DetectorError]:
    """Of every detector that can be wrong."""
    return {name: measure(one, labelled_texts(name)) for name, one in detectors().items() if one.labelled}
