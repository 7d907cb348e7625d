"""One temperature for the released model, and how reliable its probabilities are before and after."""
