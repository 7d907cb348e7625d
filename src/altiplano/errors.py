"""The one exception that a user is meant to read."""


class InputError(Exception):
    """The user's input cannot be used. The message is one line that names the fix; the command exits with 2."""


class TrainingError(Exception):
    """Training cannot go on. The message is one line; the command exits with 1."""
