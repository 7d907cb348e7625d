"""Published runs that the planner is measured against and fitted to."""
