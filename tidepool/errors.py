"""What can go wrong on a person's side: each message says what to do, and is all that is shown."""

from contract.jobs import Job


class Trouble(Exception):
    """The root; the command line prints the message and exits with 1."""


class StackFailed(Trouble):
    """The embedded stack did not start; `log` holds the last lines of the component at fault."""

    def __init__(self, message: str, log: str = "") -> None:
        super().__init__(message)
        self.log = log


class ApiError(Trouble):
    """An answer that is not a success, from its problem details (RFC 9457)."""

    def __init__(self, *, status: int, code: str, message: str, request_id: str | None = None) -> None:
        super().__init__(f"{message} ({status} {code})")
        self.status = status
        self.code = code
        self.message = message
        self.request_id = request_id


class JobUnsuccessful(Trouble):
    """A job ended in another state than `succeeded`."""

    def __init__(self, job: Job) -> None:
        reason = f": {job.error.message}" if job.error else ""
        super().__init__(f"{job.kind} job {job.id} {job.state}{reason}")
        self.job = job
