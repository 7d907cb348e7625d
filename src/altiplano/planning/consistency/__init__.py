"""Where what a recipe, a cluster and a statement say contradicts itself, and what would mend it."""
