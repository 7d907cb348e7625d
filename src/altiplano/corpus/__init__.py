"""Raw files to clean documents: sources, extraction, annotations, filters, deduplication, held-out."""
