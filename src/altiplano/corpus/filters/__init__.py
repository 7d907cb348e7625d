"""What drops a document by its language, its heuristics, or a function of the user's."""
