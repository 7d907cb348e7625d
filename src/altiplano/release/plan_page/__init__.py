"""A plan as one self-contained HTML page with charts."""

from altiplano.release.plan_page.build import write_page

__all__ = ["write_page"]
