"""A quality classifier, trained in the run from text that the recipe calls good and text that it does not."""
