"""Decontamination: training documents that hold a benchmark's items are found, and dropped."""
