"""Starting training: the command for this machine, a SLURM script, a Kubernetes JobSet. Training itself is torchrun."""
