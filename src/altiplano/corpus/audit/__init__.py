"""What curation kept and dropped, counted, with examples that a person can judge."""
