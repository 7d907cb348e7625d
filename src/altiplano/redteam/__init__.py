"""What the model must not say, tested before it is released."""
