"""How much each optimizer step takes, and of what: the sections ``[batch]`` and ``[[mixture]]`` of a recipe.

Both may change while a run goes on, at token counts: never at a number of steps, which would depend on the other.
"""

import math
from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise
from typing import Annotated, Self

from pydantic import Field, model_validator

from altiplano.recipe.units import Count, Section


class Ramp(Section):
    """Steps that begin before ``until`` tokens have been seen take ``tokens`` tokens each."""

    until: Count = Field(gt=0)
    tokens: Count = Field(gt=0)


class BatchConfig(Section):
    """Tokens per optimizer step, per sequence, and of the whole run; ``ramp`` has smaller batches for the beginning."""

    tokens: Count = Field(gt=0)
    sequence_length: Count = Field(gt=0)
    total_tokens: Count = Field(gt=0)
    from_tokens: Count = Field(
        0, ge=0, description="of total_tokens, those that earlier trainings have read: the data goes on after them"
    )
    ramp: tuple[Ramp, ...] = ()

    @property
    def sequences(self) -> int:
        """Sequences of a batch after the ramp."""
        return self.tokens // self.sequence_length

    @cached_property
    def segments(self) -> list[tuple[int, int, int]]:
        """(first step, tokens before it, tokens per step) of each batch size that the run comes to."""
        segments, step, seen = [], 0, self.from_tokens
        for ramp in self.ramp:
            segments.append((step, seen, ramp.tokens))
            steps = math.ceil((min(ramp.until, self.total_tokens) - seen) / ramp.tokens)
            step, seen = step + max(0, steps), seen + max(0, steps) * ramp.tokens
        return [*segments, (step, seen, self.tokens)]

    @property
    def sizes(self) -> list[int]:
        """Sequences of a batch, for every batch size that the run comes to, in order."""
        ends = [first for first, _, _ in self.segments[1:]] + [self.steps]
        reached = [tokens for (first, _, tokens), end in zip(self.segments, ends, strict=True) if first < end]
        return [tokens // self.sequence_length for tokens in dict.fromkeys(reached)]

    @property
    def steps(self) -> int:
        step, seen, tokens = self.segments[-1]
        return step + max(0, math.ceil((self.total_tokens - seen) / tokens))

    def samples(self, step: int) -> range:
        """Places in the run's one global order of samples that optimizer step ``step`` (from 0) takes."""
        return range(*(self.tokens_after(steps) // self.sequence_length for steps in (step, step + 1)))

    def tokens_after(self, steps: int) -> int:
        """Training tokens seen after ``steps`` optimizer steps."""
        first, seen, tokens = next(segment for segment in reversed(self.segments) if segment[0] <= steps)
        return seen + (steps - first) * tokens

    @model_validator(mode="after")
    def _whole_sequences(self) -> Self:
        sizes = [(f"ramp.{number}.tokens", ramp.tokens) for number, ramp in enumerate(self.ramp)]
        for key, tokens in [("tokens", self.tokens), *sizes]:
            if tokens % self.sequence_length:
                nearest = max(1, round(tokens / self.sequence_length))
                power = 2 ** round(math.log2(nearest))
                raise ValueError(
                    f"{key} = {tokens:,} is not a whole number of sequences of {self.sequence_length:,} tokens; "
                    f"{nearest:,} sequences are {nearest * self.sequence_length:,}, "
                    f"{power:,} are {power * self.sequence_length:,}"
                )
        if self.from_tokens % self.sequence_length or self.from_tokens >= self.total_tokens:
            raise ValueError(
                f"from_tokens = {self.from_tokens:,} must be whole sequences of {self.sequence_length:,} tokens, and "
                f"below total_tokens = {self.total_tokens:,}"
            )
        for earlier, later in pairwise(self.ramp):
            if later.until <= earlier.until:
                raise ValueError(f"ramp: until = {later.until:,} must be above the {earlier.until:,} before it")
        return self


class MixturePhase(Section):
    """Shares of the training samples from ``from_tokens`` on, by source: "web.en", or "web" for its other languages."""

    from_tokens: Count = Field(0, ge=0)
    weights: dict[str, Annotated[float, Field(gt=0, allow_inf_nan=False)]] = Field(min_length=1)
    temperature: float = Field(
        1.0,
        ge=1,
        allow_inf_nan=False,
        description="languages of a domain share its weight by size to the power 1/temperature; 1: as they are",
    )


def check_mixture(phases: Sequence[MixturePhase]) -> None:
    """Raises ValueError unless they begin at 0 and follow one another."""
    starts = [phase.from_tokens for phase in phases]
    if starts and starts[0] != 0:
        raise ValueError(f"mixture: the first phase starts at from_tokens = {starts[0]:,}; it must be 0")
    for earlier, later in pairwise(starts):
        if later <= earlier:
            raise ValueError(f"mixture: from_tokens = {later:,} must be above the {earlier:,} before it")
