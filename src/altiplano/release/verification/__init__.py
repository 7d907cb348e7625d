"""Is a release what it says? Files, manifests and figures of its evidence, looked at again."""
