"""Self-contained HTML pages about a run and about a plan, and the summary on the terminal."""

from altiplano.report.plan_page import write_page
from altiplano.report.run_page import report

__all__ = ["report", "write_page"]
