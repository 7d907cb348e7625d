"""Seconds of a training step: matrix products, attention, the network, and their sum."""
