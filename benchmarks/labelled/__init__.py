"""Pages whose main text people have labelled, and how near an extractor's text comes to it."""
