"""One self-contained HTML page on a run, whole or partial."""

from altiplano.release.report.build import report

__all__ = ["report"]
