"""Files that hold other files, and compressed ones, without trust in what they say of themselves."""
