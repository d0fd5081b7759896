"""The tree of errors. Every method of the client raises one of these and nothing else.

ClientError                 the root
├── ApiError                a response with a status of 400 or more
│   ├── BadRequest          400
│   ├── Unauthenticated     401  no API key, or an unknown one
│   ├── Forbidden           403  the key lacks a scope
│   ├── NotFound            404
│   ├── RequestTimeout      408
│   ├── Conflict            409
│   ├── TooLarge            413
│   ├── UnsupportedMedia    415
│   ├── Invalid             422  `errors` names each wrong field
│   ├── TooManyRequests     429  a limit of one sender is reached
│   │   └── QuotaExceeded        `quota` names the quota of the project
│   └── ServerError         5xx
│       ├── Unavailable     503
│       └── DeadlineExceeded 504
├── Unreachable             no response, or one that broke off
│   ├── TimedOut
│   └── UntrustedCertificate
├── UnexpectedResponse      a response that is not one of Tidepool's
├── JobUnsuccessful         a job ended in a state other than `succeeded`; see `job`
├── WaitTimeout             a job did not end in time
└── InvalidInput            a file, a folder, a name or a setting that cannot be used
"""

import ssl
from typing import Any, ClassVar

import httpx

from contract.jobs import Job


class ClientError(Exception):
    """The root."""


class ApiError(ClientError):
    """A response that is not a success, with its problem details (RFC 9457).

    Decide by `status`, by the class or by `code`, which is stable; `message` is text for people. `retry_after` are the
    seconds of the header Retry-After. `errors` are the wrong fields of a 422: `{"where", "message"}`. `quota` names the
    quota of the project that is reached.
    """

    def __init__(
        self,
        *,
        status: int,
        code: str,
        message: str,
        request_id: str | None = None,
        retry_after: float | None = None,
        errors: tuple[dict[str, Any], ...] = (),
        quota: str | None = None,
    ) -> None:
        super().__init__(f"{message} ({status} {code})")
        self.status = status
        self.code = code
        self.message = message
        self.request_id = request_id
        self.retry_after = retry_after
        self.errors = errors
        self.quota = quota


class BadRequest(ApiError):
    """400: the request cannot be parsed."""


class Unauthenticated(ApiError):
    """401: no API key, or an unknown one."""


class Forbidden(ApiError):
    """403: the API key lacks a scope."""


class NotFound(ApiError):
    """404: it does not exist in the project of the API key."""


class RequestTimeout(ApiError):
    """408: the request did not arrive in time."""


class Conflict(ApiError):
    """409: the state of the object does not allow it."""


class TooLarge(ApiError):
    """413: over a limit of the server."""


class UnsupportedMedia(ApiError):
    """415: a Content-Type that is not accepted."""


class Invalid(ApiError):
    """422: well-formed, but wrong; `errors` names each field."""


class TooManyRequests(ApiError):
    """429: a limit or a quota is reached; `retry_after` says for how many seconds."""


class QuotaExceeded(TooManyRequests):
    """429: a quota of the project is reached; `quota` names it."""


class ServerError(ApiError):
    """5xx: the server failed."""


class Unavailable(ServerError):
    """503: a temporary outage or overload."""


class DeadlineExceeded(ServerError):
    """504: the prediction's deadline passed."""


class Unreachable(ClientError):
    """No response, or one that broke off; `sent` is false if the request cannot have reached the server."""

    code: ClassVar[str] = "unreachable"

    def __init__(self, message: str, *, sent: bool = True) -> None:
        super().__init__(message)
        self.message = message
        self.sent = sent


class TimedOut(Unreachable):
    """The server did not answer within the client's timeout."""


class UntrustedCertificate(Unreachable):
    """The server's certificate is not signed by a trusted CA."""


class UnexpectedResponse(ClientError):
    """A response that this version of the client cannot read."""


class JobUnsuccessful(ClientError):
    """A job ended in a state other than `succeeded`."""

    def __init__(self, job: Job) -> None:
        reason = f": {job.error.message}" if job.error else ""
        super().__init__(f"{job.kind} job {job.id} {job.state}{reason}")
        self.job = job


class WaitTimeout(ClientError):
    """A job did not end in time; it continues."""


class InvalidInput(ClientError):
    """A file, a folder, a name or a setting that cannot be used; nothing was sent."""


_CLASSES: dict[int, type[ApiError]] = {
    400: BadRequest,
    401: Unauthenticated,
    403: Forbidden,
    404: NotFound,
    408: RequestTimeout,
    409: Conflict,
    413: TooLarge,
    415: UnsupportedMedia,
    422: Invalid,
    429: TooManyRequests,
    503: Unavailable,
    504: DeadlineExceeded,
}


def error_of(response: httpx.Response) -> ApiError:
    """Return the error of a response that has been read."""
    try:
        problem = response.json()
    except ValueError:
        problem = None
    if not isinstance(problem, dict):
        problem = {}
    status, errors, quota = response.status_code, problem.get("errors"), problem.get("quota")
    kind = QuotaExceeded if quota else _CLASSES.get(status, ServerError if status >= 500 else ApiError)
    return kind(
        status=status,
        code=str(problem.get("code", "http")),
        message=str(problem.get("detail") or problem.get("title") or response.reason_phrase or f"HTTP status {status}"),
        request_id=problem.get("request_id"),
        retry_after=_seconds(response.headers.get("Retry-After", "")),
        errors=tuple(errors) if isinstance(errors, list) else (),
        quota=quota,
    )


def unreachable(error: httpx.HTTPError, url: str) -> Unreachable:
    """Return the error for a request without a complete response."""
    if (reason := _untrusted(error)) is not None:
        return UntrustedCertificate(
            f"The certificate of {url} is not trusted here: {reason}. If a CA of your own made it, set SSL_CERT_FILE "
            "to the PEM file of that CA.",
            sent=False,
        )
    unsent = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
    kind = TimedOut if isinstance(error, httpx.TimeoutException) else Unreachable
    return kind(f"{url} does not answer: {type(error).__name__}", sent=not unsent)


def _seconds(text: str) -> float | None:
    return float(text) if text.isascii() and text.isdecimal() else None


def _untrusted(error: BaseException | None) -> str | None:
    """Return why a server's certificate was refused, None if that is not the cause of the error."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return error.verify_message
        error = error.__cause__ or error.__context__
    return None
