"""What curating and tokenizing a corpus costs."""
