"""Evaluation benchmarks: tasks, prompts, scorers, and what of it can be told apart from chance."""
