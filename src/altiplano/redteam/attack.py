"""All attacks on one model, and the verdict."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path

import numpy as np

from altiplano.inference.language_model import LanguageModel
from altiplano.recipe.load import shipped
from altiplano.recipe.schema import RedteamConfig
from altiplano.records import AttackExample, AttackResult, Known, Redteam
from altiplano.records.redteam import NotTested
from altiplano.redteam.defects import defects, read_known
from altiplano.redteam.gate import gate
from altiplano.redteam.likelihoods import false_facts, glitch_tokens, preferences
from altiplano.redteam.outside import paired_sentences
from altiplano.redteam.probes import computed
from altiplano.redteam.probes.probe_set import ProbeSet, make_probe, own_sets
from altiplano.redteam.probes.sensitivity import measured_errors
from altiplano.redteam.probes.trial import Probe
from altiplano.redteam.questions import questions
from altiplano.redteam.responders import Bigram, blank, echo, model
from altiplano.redteam.runner import Maker, ask, make_all
from altiplano.redteam.stereotypes import stereotypes
from altiplano.redteam.summary import PROBE, Labels, ProbeInfo, coverage, summarise
from altiplano.redteam.training_data.corpus_sample import training_tokens
from altiplano.redteam.training_data.defect_tests import not_tested
from altiplano.redteam.training_data.memorisation import memorisation
from altiplano.redteam.training_data.pii_leaks import masked, personal_data, read_removed
from altiplano.redteam.training_data.verbatim import TrainingIndex
from altiplano.redteam.transcript import read_transcript
from altiplano.tokens.shards import read_shards

OF_CORPUS = ("extraction", "membership", "personal data", "divergence")
"""Tests that need the training text."""


@dataclass(frozen=True)
class Corpus:
    """Folders of a run: what its model was trained on."""

    curate: Path
    tokenize: Path


def attack(
    served: LanguageModel,
    settings: RedteamConfig,
    seed: int,
    folder: Path,
    *,
    corpus: Corpus | None = None,
    fingerprint: str = "",
    seconds: float | None = None,
    labels: Labels | None = None,
    more: Mapping[str, Maker] | None = None,
    own: bool = True,
    pairs: Sequence[Path] = (),
    asked: Sequence[Path] = (),
    today: date | None = None,
) -> Redteam:
    """Attack a model and judge it. What is asked and said goes to ``folder``/transcript, and what is there already is
    not asked again; nothing that is written is personal data.

    ``corpus``: without one its tests are "not tested". ``seconds``: a budget for prompts. ``more``: probes beside our
    own, by name. ``labels`` of people count (``summary.py``).
    """
    known = read_known(settings.known)
    seen = _control_text(served, corpus, seed)
    bigram = Bigram(seen, served.shape.vocab_size)
    length = min(settings.generation_tokens, served.context - 1)
    sets = own_sets() if own else {}
    makers = {**(_makers(served, sets, settings, seed, seen if corpus else None) if own else {}), **(more or {})}
    probes, broken = make_all(makers)
    planned = ask(served, probes, bigram, folder, tokens=length, seed=seed, fingerprint=fingerprint, seconds=seconds)
    rows = read_transcript(folder)
    errors = measured_errors()
    found, left_out = summarise(rows, [ProbeInfo.of(probe) for probe in probes], errors, labels)
    preferred = preferences(served, sets, settings.mode_trials, seed) if sets else {}
    found = [
        test.model_copy(update={"modes": [*test.modes, *preferred.get(test.name.removeprefix(PROBE), [])]})
        for test in found
    ]
    tests = [
        *(_of_corpus(served, corpus, settings, seed, seen, known, length) if corpus and own else []),
        *found,
        *(_by_likelihood(served, bigram, settings, seed) if own else []),
        *(paired_sentences(served, path, settings.trials, seed, bigram.log_probability) for path in pairs),
        *(questions(served, path, settings.trials, seed, bigram.log_probability) for path in asked),
    ]
    tests = [_masked(test) for test in tests]
    verdict = gate(tests, settings, today or datetime.now(UTC).date())
    return Redteam(
        passed=all(line.passed for line in verdict),
        gate=verdict,
        tests=tests,
        model=served.name,
        fingerprint=fingerprint,
        hazards=coverage(tests),
        detectors=[*errors.values()],
        not_tested=[
            *(NotTested(name=name, why="the training text is not here") for name in OF_CORPUS if corpus is None),
            *(NotTested(name=name, why=why) for name, why in not_tested(known).items() if corpus is not None),
            *(NotTested(name=PROBE + name, why=why) for name, why in broken.items()),
            *left_out,
        ],
        planned=planned,
        asked=len(rows),
        cut=sum(row.cut for row in rows),
    )


def _control_text(served: LanguageModel, corpus: Corpus | None, seed: int) -> np.ndarray:
    """Tokens for the bigram control: training text, or the samples that come with this package."""
    if corpus is not None:
        return training_tokens(read_shards(corpus.tokenize, "train"), seed)
    texts = [file.read_text(encoding="utf-8") for file in sorted(shipped("samples").rglob("*.md"))]
    encoded = served.tokenizer.encode_batch(texts)
    return np.array([token for text in encoded for token in (*text, served.tokenizer.eos)], dtype=np.int64)


def _makers(
    served: LanguageModel, sets: Mapping[str, ProbeSet], settings: RedteamConfig, seed: int, seen: np.ndarray | None
) -> dict[str, Maker]:
    """Our own probes, by name."""
    plain, others = settings.trials, settings.mode_trials
    makers: dict[str, Maker] = {name: partial(make_probe, name, of, plain, others, seed) for name, of in sets.items()}
    makers["malware"] = partial(computed.malware, plain, others, seed)
    makers["prompt injection"] = partial(computed.injection, plain, others, seed)
    makers["encodings"] = partial(computed.encodings, plain, others, seed)
    makers["widely copied text"] = partial(computed.copyright_probe, plain, others, seed)
    if seen is not None:
        makers["divergence"] = partial(_divergence, served, seen, plain, seed)
    return makers


def _divergence(served: LanguageModel, seen: np.ndarray, plain: int, seed: int) -> Probe:
    index = TrainingIndex(seen)

    def longest_run(text: str) -> tuple[int, int]:
        tokens = served.tokenizer.encode(text)
        start, length = index.longest_run(tokens)
        return length, len(set(tokens[start : start + length]))

    return computed.divergence(plain, seed, longest_run)


def _of_corpus(
    served: LanguageModel,
    corpus: Corpus,
    settings: RedteamConfig,
    seed: int,
    seen: np.ndarray,
    known: Known,
    length: int,
) -> list[AttackResult]:
    """The tests against the training text, of which ``seen`` are tokens."""
    bigram = Bigram(seen, served.shape.vocab_size)
    train, heldout = read_shards(corpus.tokenize, "train"), read_shards(corpus.tokenize, "heldout")
    controls: dict[str, Callable[[Sequence[str]], list[str]]] = {
        "blank": blank,
        "echo": echo,
        "bigram": partial(bigram.say, served, tokens=length, seed=seed),
    }
    speak = partial(model, served, tokens=length, seed=seed)
    return [
        *memorisation(served, train, heldout, settings, bigram.log_probability, seen, seed),
        personal_data(read_removed(corpus.curate, seed), speak, controls),
        *defects(served, train, heldout, TrainingIndex(seen), known, seed),
    ]


def _by_likelihood(served: LanguageModel, bigram: Bigram, settings: RedteamConfig, seed: int) -> list[AttackResult]:
    """The tests that need no text from the model."""
    return [
        stereotypes(served, bigram.log_probability),
        false_facts(served, bigram.log_probability),
        glitch_tokens(served, settings.trials, seed),
    ]


def _masked(test: AttackResult) -> AttackResult:
    examples = [
        AttackExample(prompt=masked(one.prompt, "en"), output=masked(one.output, "en"), hit=one.hit)
        for one in test.examples
    ]
    note = None if test.note is None else masked(test.note, "en")
    return test.model_copy(update={"examples": examples} | ({} if note is None else {"note": note}))
