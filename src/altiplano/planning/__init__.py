"""Arithmetic of a run: parameters, FLOPs. Imported by the planner and by the trainer, so that both count alike."""
