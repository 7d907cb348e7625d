"""What a model kept of its training text: memorised documents, personal data that was removed."""
