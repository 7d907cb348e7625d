"""What a run is: the typed recipe, its units, its overrides, and the layout and hardware it runs on."""
