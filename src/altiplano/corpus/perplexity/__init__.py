"""N-gram models for the perplexity filter: training, files, scores, ranks."""
