"""Temperature scaling."""
