"""The stages of a run, in order: each calls other packages and writes what they return."""
