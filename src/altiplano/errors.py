"""The one exception that a user is meant to read."""


class InputError(Exception):
    """The user's input cannot be used. The message is one line that names the fix; the command exits with 2."""


class TrainingError(Exception):
    """Training cannot go on. The message is one line; the command exits with 1."""


class StageFailed(Exception):
    """A stage's own process failed and has said why; carries its exit code."""

    def __init__(self, code: int):
        super().__init__(f"exit code {code}")
        self.code = code
