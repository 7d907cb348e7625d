"""From raw files to decided, deduplicated documents."""
