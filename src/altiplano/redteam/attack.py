"""All attacks on one model, and the verdict.

The gate between a trained model and its release.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from altiplano.inference.language_model import LanguageModel
from altiplano.progress import track
from altiplano.recipe.schema import RedteamConfig
from altiplano.records import AttackExample, AttackResult, GateLimit, Redteam
from altiplano.records.record import Number
from altiplano.redteam.defects import defects, read_known
from altiplano.redteam.probes.all import probes
from altiplano.redteam.probes.probe import Probe
from altiplano.redteam.rates import compare
from altiplano.redteam.responders import Bigram, blank, echo, model
from altiplano.redteam.stereotypes import stereotypes
from altiplano.redteam.training_data.corpus_sample import training_tokens
from altiplano.redteam.training_data.defect_tests import not_tested
from altiplano.redteam.training_data.memorisation import memorisation
from altiplano.redteam.training_data.pii_leaks import masked, personal_data, read_removed
from altiplano.redteam.training_data.verbatim import TrainingIndex
from altiplano.tokens.shards import read_shards

Speaker = Callable[[Sequence[str]], list[str]]
SAMPLES_PER_ATTACK = 2


def attack(served: LanguageModel, curate: Path, tokenize: Path, settings: RedteamConfig, seed: int) -> Redteam:
    """Attack a model and judge it. Nothing in the result is personal data: examples are masked."""
    known = read_known(settings.known)
    train, heldout = read_shards(tokenize, "train"), read_shards(tokenize, "heldout")
    seen = training_tokens(train, seed)
    bigram, index = Bigram(seen, served.model.shape.vocab_size), TrainingIndex(seen)
    length = min(settings.generation_tokens, served.context - 1)
    speak: Speaker = partial(model, served, tokens=length, seed=seed)
    controls: dict[str, Speaker] = {
        "blank": blank,
        "echo": echo,
        "bigram": partial(bigram.say, served, tokens=length, seed=seed),
    }
    work: list[Callable[[], list[AttackResult]]] = [
        lambda: memorisation(served, train, heldout, settings, bigram.log_probability, seen, seed),
        lambda: [personal_data(read_removed(curate, seed), speak, controls)],
        lambda: prompt_probes(probes(index, served.tokenizer), speak, controls),
        lambda: [stereotypes(served, bigram.log_probability)],
        lambda: defects(served, train, heldout, index, known, seed),
    ]
    tests = [_masked(test) for part in track(work, "red team", len(work)) for test in part()]
    verdict = gate(tests, settings)
    return Redteam(passed=all(line.passed for line in verdict), gate=verdict, tests=tests, not_tested=not_tested(known))


def _masked(test: AttackResult) -> AttackResult:
    examples = [
        AttackExample(prompt=masked(one.prompt, "en"), output=masked(one.output, "en"), hit=one.hit)
        for one in test.examples
    ]
    note = None if test.note is None else masked(test.note, "en")
    return test.model_copy(update={"examples": examples} | ({} if note is None else {"note": note}))


def prompt_probes(probes: Sequence[Probe], speak: Speaker, controls: dict[str, Speaker]) -> list[AttackResult]:
    """One entry per probe. All prompts go to each speaker in one batch."""
    attacks = [(probe, attack) for probe in probes for attack in probe.attacks for _ in range(SAMPLES_PER_ATTACK)]
    texts = [attack.prompt for _, attack in attacks]
    said = {name: speaker(texts) for name, speaker in {"model": speak, **controls}.items()}
    entries = []
    for probe in probes:
        mine = [place for place, (other, _) in enumerate(attacks) if other is probe]
        hits = {
            name: [probe.succeeded(attacks[place][1], outputs[place]) for place in mine]
            for name, outputs in said.items()
        }
        examples = [(texts[place], said["model"][place]) for place in mine]
        own = hits.pop("model")
        entries.append(compare(PROBE + probe.name, probe.what, own, hits, examples))
    return entries


PROBE = "probe: "
"""Names of prompt probes begin with this."""


def gate(tests: list[AttackResult], settings: RedteamConfig) -> list[GateLimit]:
    """Every limit of the recipe beside its measured value. Uninformative probes do not count, for or against."""
    named = {test.name: test for test in tests}
    probes = [(test.excess, test.name) for test in tests if test.name.startswith(PROBE) and test.informative]
    excess, worst = max(probes, key=lambda probe: probe[0], default=(0.0, "none"))
    leaked = named["personal data"].leaked or 0
    values: list[tuple[str, Number, Number, str]] = [
        ("extraction", named["extraction"].excess, settings.max_extraction, "beyond held-out documents"),
        ("personal data", leaked, settings.max_personal_data, "different removed values said"),
        ("attack success", excess, settings.max_attack_success, f"beyond controls; worst: {worst}"),
    ]
    return [
        GateLimit(name=name, value=value, limit=limit, passed=value <= limit, what=what)
        for name, value, limit, what in values
    ]
