"""An item and what the model said to it, to scores: each metric is a function of a few lines."""

import re
import string
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from altiplano.benchmarks.answers import Answer
from altiplano.benchmarks.code_execution import passes
from altiplano.benchmarks.item import Item, Task
from altiplano.benchmarks.translation import chrf, sentence_bleu
from altiplano.optional_imports import extra


def scored(task: Task, item: Item, answer: Answer, *, run_code: bool = False) -> Answer:
    """The answer with every score that can be had of it. ``run_code``: programs that the model wrote are run."""
    scores: dict[str, float] = {}
    if answer.logprobs:
        scores |= choice_scores(answer)
    if task.is_generated:
        text = extract(answer.written, task.extract)
        if task.metric == "mathematics":
            scores["mathematics"] = float(mathematics(answer.written, item.references))
        elif task.metric == "chrf":
            scores["chrf"] = chrf(text, item.references)
        elif task.metric == "bleu":
            scores["bleu"] = sentence_bleu(text, item.references)
        elif task.metric == "passes_tests":
            scores["passes_tests"] = float(run_code and passes(item.prompt + answer.written, item.tests))
        else:
            scores["exact_match"] = float(exact_match(text, item.references, task.ignore))
            scores["f1"] = f1(text, item.references)
    return replace(answer, scores=scores, score=scores[task.metric])


def choice_scores(answer: Answer) -> dict[str, float]:
    """Whether the right choice is the likeliest, by several normalisations, and the bits of each of its bytes.

    Raw, per token and per character as Brown et al. 2020 and lm-evaluation-harness have them (``acc``, ``acc_norm``);
    unconditional: log p(choice | question) - log p(choice | no question), pointwise mutual information.
    """
    assert answer.gold is not None
    right = answer.gold
    scores = {"bits_per_byte": answer.gold_bits / max(1, answer.gold_bytes)}
    if answer.greedy:
        scores["greedy"] = float(answer.greedy[right])
    if len(answer.choices) < 2:
        return scores
    return scores | {name: float(values.argmax() == right) for name, values in comparable(answer).items()}


def comparable(answer: Answer) -> dict[str, np.ndarray]:
    """The choices' log-likelihoods by metric, normalised as it compares them: the largest is the model's choice."""
    logprobs = np.array(answer.logprobs)
    found = {
        "accuracy": logprobs,
        "accuracy_per_token": logprobs / np.maximum(1, answer.tokens),
        "accuracy_per_character": logprobs / np.array(answer.lengths),
        "accuracy_per_byte": logprobs / np.maximum(1, answer.bytes),
    }
    if answer.unconditional:
        found["accuracy_unconditional"] = logprobs - np.array(answer.unconditional)
    return found


def extract(written: str, pattern: str) -> str:
    """The last match of ``pattern`` (of its first group that matched), or nothing; all without a pattern."""
    if not pattern:
        return written
    found = [*re.finditer(pattern, written)]
    if not found:
        return ""
    groups = [group for group in found[-1].groups() if group is not None]
    return str(groups[0] if groups else found[-1][0])


def normalised(text: str, ignore: Sequence[str] = ()) -> str:
    """Without case, punctuation, articles and white space (Rajpurkar et al. 2016), and what ``ignore`` matches."""
    for pattern in ignore:
        text = re.sub(pattern, "", text)
    text = "".join(" " if character in string.punctuation else character for character in text.lower())
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())


def exact_match(text: str, references: Sequence[str], ignore: Sequence[str] = ()) -> bool:
    """Whether the text is one of the references, normalised."""
    return normalised(text, ignore) in {normalised(reference, ignore) for reference in references}


def f1(text: str, references: Sequence[str]) -> float:
    """Harmonic mean of precision and recall of words, of the best reference (Rajpurkar et al. 2016)."""
    said = normalised(text).split()
    return max((_f1(said, normalised(reference).split()) for reference in references), default=0.0)


def _f1(said: Sequence[str], right: Sequence[str]) -> float:
    common = sum((Counter(said) & Counter(right)).values())
    if not said or not right:
        return float(said == right)
    return 2 * common / (len(said) + len(right))


def mathematics(written: str, references: Sequence[str]) -> bool:
    """Whether the last formula or number of the text equals that of a reference, by math-verify."""
    verify = extra("math_verify", "evaluation", "mathematical answers")
    said = verify.parse(written)
    return any(
        verify.verify(verify.parse(form), said) for reference in references for form in (reference, f"${reference}$")
    )
