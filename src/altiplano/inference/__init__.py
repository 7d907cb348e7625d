"""Generation with a KV cache, scoring, and an OpenAI-compatible server."""
