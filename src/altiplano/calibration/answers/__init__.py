"""Probabilities of the choices of benchmark items: one answer temperature, fitted on tasks and judged on others."""
