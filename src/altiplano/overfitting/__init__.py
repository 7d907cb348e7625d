"""Does a trained model know its training text, or a benchmark's items, better than it should? Tests with verdicts."""
