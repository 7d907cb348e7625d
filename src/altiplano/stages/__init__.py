"""The stages of a run, in order. Each glues rooms together and is nothing but glue."""
