"""The device mesh, and one file for each way to spread the model over it."""
