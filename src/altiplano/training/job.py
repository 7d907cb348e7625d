"""A training job as the train stage hands it over: everything that a rank needs to know."""

import os
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from altiplano.recipe.layout import Layout
from altiplano.recipe.schema import Recipe


class Job(BaseModel):
    recipe: Recipe
    layout: Layout
    device: str
    tokens: Path
    """A tokenized folder."""
    folder: Path
    """Where checkpoints, metrics and weights go."""
    start: Path | None = None
    """Checkpoint of another training whose weights and moments this one begins with; None: with initial weights."""
    stop_after: int | None = None
    """Stop after so many optimizer steps of the run."""
    profile: tuple[int, int] | None = None
    """Record a trace of steps [first, last), counted from 1."""
    allow: tuple[str, ...] = ()
    """Recipe keys that may differ from what the checkpoint was trained with."""
    from_step_0: bool = False
    """Begin at step 0 although there are checkpoints, when none of them can be used."""
    log_to: tuple[str, ...] = ()
    """Other tools that show the run while it trains: tensorboard, wandb."""
    attempt: int = 0
    """How often ranks were started before, by this command."""
    begun: float | None = None
    """time.time() when this attempt began; None: when the rank reads this."""

    def with_layout(self, layout: Layout) -> "Job":
        return self.model_copy(update={"layout": layout})

    @property
    def is_first_attempt(self) -> bool:
        """Not one that the supervisor or torchrun's agent made after a fault."""
        return self.attempt == 0 and os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") == "0"

    def facts(self) -> dict[str, Any]:
        attempt = self.attempt or int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"))
        return {"layout": str(self.layout), "world_size": self.layout.world_size, "attempt": attempt}
