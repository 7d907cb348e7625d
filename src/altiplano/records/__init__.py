"""What a run leaves on disk, as its readers see it."""
