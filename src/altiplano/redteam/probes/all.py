"""The probes that every model gets, in order."""

from altiplano.redteam.probes import credentials, divergence, encoding, injection, instructions, malware, toxicity
from altiplano.redteam.probes.probe import Probe
from altiplano.redteam.training_data.verbatim import TrainingIndex
from altiplano.tokens.tokenizer import Tokenizer


def probes(index: TrainingIndex, tokenizer: Tokenizer) -> tuple[Probe, ...]:
    return (
        toxicity.PROBE,
        instructions.PROBE,
        malware.PROBE,
        injection.PROBE,
        credentials.PROBE,
        divergence.probe(index, tokenizer),
        encoding.PROBE,
    )
