"""Errors of the command line and the client; the user sees only the message."""

from contract.jobs import Job


class UserFacingError(Exception):
    """The root; the command line prints the message and exits with status 1."""


class StackFailed(UserFacingError):
    """The embedded stack did not start; `log` holds the last lines of the component at fault."""

    def __init__(self, message: str, log: str = "") -> None:
        super().__init__(message)
        self.log = log


class ApiError(UserFacingError):
    """A response that is not a success, with its problem details (RFC 9457); status 0 means no response."""

    def __init__(self, *, status: int, code: str, message: str, request_id: str | None = None) -> None:
        super().__init__(f"{message} ({status} {code})")
        self.status = status
        self.code = code
        self.message = message
        self.request_id = request_id


class JobUnsuccessful(UserFacingError):
    """A job ended in a state other than `succeeded`."""

    def __init__(self, job: Job) -> None:
        reason = f": {job.error.message}" if job.error else ""
        super().__init__(f"{job.kind} job {job.id} {job.state}{reason}")
        self.job = job
