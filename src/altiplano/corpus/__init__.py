"""Raw files to clean documents: sources, extraction, annotations, decisions, deduplication, held-out."""
