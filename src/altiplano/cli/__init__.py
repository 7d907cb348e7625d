"""The command line."""

from altiplano.cli.main import main, parser, run
from altiplano.cli.stages import STAGES

__all__ = ["STAGES", "main", "parser", "run"]
