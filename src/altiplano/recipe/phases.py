"""What may change in the later life of a training: the section ``[[phases]]`` of a recipe.

``trainings.py`` makes of each phase the recipe of a training.
"""

from typing import Literal, Self

from pydantic import Field, model_validator

from altiplano.recipe.batch import MixturePhase, check_mixture
from altiplano.recipe.units import Count, Section

Schedule = Literal["cosine", "linear"]
"""How the learning rate comes down from its peak."""


class RopeScaling(Section):
    """Llama-3.1's frequency scaling for long context; absent during 8k pretraining."""

    factor: float = Field(8.0, ge=1)
    low_freq_factor: float = Field(1.0, gt=0)
    high_freq_factor: float = Field(4.0, gt=0)
    original_max_position_embeddings: Count = Field(8192, gt=0)

    @model_validator(mode="after")
    def _bands_are_in_order(self) -> Self:
        if self.low_freq_factor >= self.high_freq_factor:
            raise ValueError("low_freq_factor must be below high_freq_factor")
        return self


class PhaseConfig(Section):
    """A training that goes on with the weights and moments of the one before it; what is absent stays as it was."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")
    total_tokens: Count = Field(gt=0, description="of this phase alone")
    sequence_length: Count | None = Field(None, gt=0)
    batch_tokens: Count | None = Field(None, gt=0, description="tokens per optimizer step")
    rope_scaling: RopeScaling | None = None
    learning_rate: float | None = Field(None, gt=0, description="peak; absent: what training ended with before")
    min_learning_rate: float = Field(0.0, ge=0, description="of the last step; the peak's own value keeps it constant")
    warmup_steps: int = Field(0, ge=0)
    schedule: Schedule = "cosine"
    mixture: tuple[MixturePhase, ...] = Field((), description="from_tokens are counted from the phase's first token")
    evaluation_interval_steps: int | None = Field(None, gt=0)
    checkpoint_interval_steps: int | None = Field(None, gt=0)

    @model_validator(mode="after")
    def _name_is_free(self) -> Self:
        if self.name == "main":
            raise ValueError("main is what the training before the phases is called; choose another name")
        return self

    @model_validator(mode="after")
    def _mixture_is_in_order(self) -> Self:
        check_mixture(self.mixture)
        return self


class AverageConfig(Section):
    """The released weights: the mean of the last checkpoints of the last training (Polyak), or the last alone."""

    checkpoints: int = Field(1, gt=0, description="of the last step, and of steps before it; they are all kept")
    every_steps: int = Field(100, gt=0, description="steps from one to the next")

    def steps(self, last: int) -> tuple[int, ...]:
        """The steps of a training of ``last`` steps whose checkpoints are averaged, ascending."""
        return tuple(last - number * self.every_steps for number in reversed(range(self.checkpoints)))
