"""The made-up run, for the tests of this folder."""

from made_up_run import cluster, make_run, recipe, tokenizer

__all__ = ["cluster", "make_run", "recipe", "tokenizer"]
