"""A recipe's trainings in order: the main one, and one for each of its phases.

A phase is a training like any other, with a recipe of its own in which it is no phase any more. Its data goes on where
that of the training before it ended: ``batch.from_tokens`` counts all tokens that were read before, and ``mixture``
has the phases of the mixture that they were drawn by.
"""

from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from altiplano.errors import InputError
from altiplano.recipe.batch import BatchConfig, MixturePhase
from altiplano.recipe.cluster import Cluster
from altiplano.recipe.layout import Layout, check_layout, parse_layout
from altiplano.recipe.phases import AverageConfig, PhaseConfig
from altiplano.recipe.schema import CheckpointConfig, OptimizerConfig, Recipe

MAIN = "train"


@dataclass(frozen=True)
class Training:
    """One training of a run: ``stage`` is the name of its stage, ``recipe`` what it computes."""

    stage: str
    recipe: Recipe

    @property
    def phase(self) -> str:
        """What people call it."""
        return phase_of(self.stage)


def phase_of(stage: str) -> str:
    """The phase that the stage of a training is of; "main" before the phases."""
    return "main" if stage == MAIN else stage.removeprefix(f"{MAIN}-")


def is_training(stage: str) -> bool:
    return stage == MAIN or stage.startswith(f"{MAIN}-")


def trainings(recipe: Recipe) -> tuple[Training, ...]:
    """The main training, then the phases in order. Raises ValueError for a phase that cannot be."""
    if not recipe.phases:
        return (Training(MAIN, recipe),)
    # what is averaged is the end of the last one
    found = [Training(MAIN, recipe.model_copy(update={"phases": (), "average": AverageConfig()}))]
    for phase in recipe.phases:
        try:
            found.append(Training(f"{MAIN}-{phase.name}", _of_phase(phase, found[-1].recipe)))
        except ValidationError as error:
            message = error.errors()[0]["msg"].removeprefix("Value error, ")
            raise ValueError(f"phases: {phase.name}: {message}") from error
        except ValueError as error:
            raise ValueError(f"phases: {phase.name}: {error}") from error
    last = found.pop()
    return (*found, Training(last.stage, last.recipe.model_copy(update={"average": recipe.average})))


def last_training(recipe: Recipe) -> Training:
    """Whose weights are evaluated and released."""
    return trainings(recipe)[-1]


def training_of(recipe: Recipe, phase: str | None) -> Training:
    """The training that ``phase`` names: "main" or a phase; None: the last. Raises InputError for another name."""
    known = {one.phase: one for one in trainings(recipe)}
    if phase is None:
        return [*known.values()][-1]
    if phase not in known:
        raise InputError(f"--phase {phase}: the trainings of {recipe.name} are {', '.join(known)}")
    return known[phase]


def layout_of(training: Training, cluster: Cluster, layout: Layout) -> Layout:
    """``layout``, unless the cluster file has one for this phase of this recipe."""
    own = cluster.layouts.get(training.recipe.name, {}).get(training.phase)
    return parse_layout(own) if own else layout


def check_layouts(layout: Layout, recipe: Recipe, cluster: Cluster, device: str = "") -> None:
    """As ``check_layout``, of every training with its own layout, whose names are checked, too."""
    check_names_of_layouts(recipe, cluster)
    for one in trainings(recipe):
        try:
            check_layout(layout_of(one, cluster, layout), one.recipe, device)
        except InputError as error:
            raise InputError(str(error) if one.stage == MAIN else f"phase {one.phase}: {error}") from error


def check_names_of_layouts(recipe: Recipe, cluster: Cluster) -> None:
    """Where a phase has no layout in the cluster file, one of the recipe for another name is a mistake: perhaps it was
    meant. Raises InputError."""
    names, own = [one.phase for one in trainings(recipe)[1:]], cluster.layouts.get(recipe.name, {})
    unknown = [name for name in own if name not in names]
    if unknown and (without := [name for name in names if name not in own]):
        raise InputError(
            f'cluster {cluster.name} has a layout for {unknown[0]} in [layouts."{recipe.name}"] and none for '
            f"{without[0]}; the phases are {', '.join(names)}: give it one there, or --layout auto"
        )


def _of_phase(phase: PhaseConfig, before: Recipe) -> Recipe:
    """The recipe of a phase after a training by ``before``. Raises ValueError."""
    sequence = phase.sequence_length or before.batch.sequence_length
    taken = -(-before.batch.tokens_after(before.batch.steps) // sequence) * sequence
    batch = BatchConfig(
        tokens=phase.batch_tokens or before.batch.tokens,
        sequence_length=sequence,
        from_tokens=taken,
        total_tokens=taken + phase.total_tokens,
    )
    if phase.warmup_steps >= batch.steps:
        raise ValueError(f"warmup_steps = {phase.warmup_steps:,} is not shorter than the phase: {batch.steps:,} steps")
    peak = before.optimizer.min_learning_rate if phase.learning_rate is None else phase.learning_rate
    if not peak:
        raise ValueError("learning_rate is missing, as the training before it ends with 0")
    rates = phase.model_dump(include={"min_learning_rate", "warmup_steps", "schedule"})
    updated: dict[str, Any] = {
        "pretrained": None,
        "batch": batch,
        "optimizer": OptimizerConfig(**before.optimizer.model_dump() | rates | {"learning_rate": peak}),
        "mixture": _mixture(phase, before.mixture, taken),
    }
    if phase.rope_scaling is not None:
        updated["model"] = before.model.model_copy(update={"rope_scaling": phase.rope_scaling})
    if (every := phase.evaluation_interval_steps) is not None:
        updated["evaluation"] = before.evaluation.model_copy(update={"interval_steps": every})
    if (every := phase.checkpoint_interval_steps) is not None:
        updated["checkpoint"] = CheckpointConfig(**before.checkpoint.model_dump() | {"interval_steps": every})
    return before.model_copy(update=updated)


def _mixture(phase: PhaseConfig, before: tuple[MixturePhase, ...], taken: int) -> tuple[MixturePhase, ...]:
    """By what the samples after ``taken`` tokens are drawn. Where nothing was mixed before, the phase's first weights
    count from the beginning: its order of samples is another one anyway."""
    earlier = tuple(one for one in before if one.from_tokens < taken) if phase.mixture else before
    own = [one.model_copy(update={"from_tokens": taken + one.from_tokens}) for one in phase.mixture]
    if own and not earlier:
        own[0] = phase.mixture[0]
    return (*earlier, *own)
