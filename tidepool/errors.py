"""Errors of the command line and the stack; the user sees only the message. Those of the client are its own."""


class UserFacingError(Exception):
    """The root; the command line prints the message and exits with status 1."""


class StackFailed(UserFacingError):
    """The embedded stack did not start; `log` holds the last lines of the component at fault."""

    def __init__(self, message: str, log: str = "") -> None:
        super().__init__(message)
        self.log = log
