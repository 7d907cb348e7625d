"""Training and held-out documents, and the proof that they share no text."""
