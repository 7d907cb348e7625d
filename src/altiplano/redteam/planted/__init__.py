"""Defects planted into small trainings, to measure how often the red team's tests find them."""
