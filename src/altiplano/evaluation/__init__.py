"""Held-out perplexity: functions of a model and token shards."""
