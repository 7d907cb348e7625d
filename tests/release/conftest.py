"""The made-up run and the release of a real one, for the tests of this folder."""

from made_up_run import cluster, make_run, recipe, tokenizer
from real_release import first_release, released

__all__ = ["cluster", "first_release", "make_run", "recipe", "released", "tokenizer"]
