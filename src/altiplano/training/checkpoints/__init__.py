"""Checkpoints: saving, loading, inspecting, and the weights of the last one."""
