"""N-gram models by which the quality of text is judged: training, files, scores."""
