"""Personal data: what is looked for, how candidates are checked, and their replacement."""
