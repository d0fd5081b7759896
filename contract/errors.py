"""The tree of errors. Clients see the `message` and the `code`, nothing else.

TidepoolError
├── Refused                    the request is wrong; the message says what to change
│   ├── Malformed              400  cannot be parsed at all
│   ├── Unauthenticated        401  no key, or a wrong one
│   ├── Forbidden              403  the key lacks a scope
│   ├── NotFound               404
│   ├── RequestTimeout         408  the request did not arrive in time
│   ├── Conflict               409  the state forbids it
│   ├── TooLarge               413  over a limit
│   ├── UnsupportedMedia       415
│   ├── TooManyRequests        429  a limit of one sender is reached; retry later
│   │   └── QuotaExceeded           a quota of the project is reached
│   ├── HeadersTooLarge        431
│   └── Invalid                422  well-formed, but wrong
│       ├── BadArchive              not a zip we accept
│       ├── BadDataset              a zip without a usable dataset
│       ├── BadImage                bytes that are not one image
│       └── BadModel                a layer list, an ONNX graph or a backbone that cannot work
├── Unavailable                503  a temporary outage; retry later
│   ├── DatabaseUnavailable
│   ├── BrokerUnavailable
│   ├── ObjectsUnavailable
│   ├── Corrupt                     bytes read differ from the bytes written
│   └── Overloaded                  a limit is reached
├── DeadlineExceeded           504
├── JobFailed                  500  an attempt failed because of an internal error
│   └── WorkerLost                  the process that ran it died
└── Interrupted                     not a failure: the worker stops the handler
    ├── Cancelled
    ├── Draining
    ├── Overtaken                   what it has read has changed; it starts again
    ├── Postponed                   it waits for replicas, which others can use; it starts again later
    └── LeaseLost
"""

from typing import ClassVar


class TidepoolError(Exception):
    """Base class: a stable `code`, an HTTP `status`, and whether a retry may succeed."""

    code: ClassVar[str] = "internal"
    status: ClassVar[int] = 500
    retryable: ClassVar[bool] = False

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Refused(TidepoolError):
    code = "refused"
    status = 400


class Malformed(Refused):
    code = "malformed"


class Unauthenticated(Refused):
    code = "unauthenticated"
    status = 401


class Forbidden(Refused):
    code = "forbidden"
    status = 403


class NotFound(Refused):
    code = "not_found"
    status = 404


class RequestTimeout(Refused):
    code = "request_timeout"
    status = 408
    retryable = True


class Conflict(Refused):
    code = "conflict"
    status = 409


class TooLarge(Refused):
    code = "too_large"
    status = 413


class UnsupportedMedia(Refused):
    code = "unsupported_media"
    status = 415


class TooManyRequests(Refused):
    code = "too_many_requests"
    status = 429
    retryable = True


class QuotaExceeded(TooManyRequests):
    """`quota` is the field of `contract.projects.Quotas`; a retry cannot succeed before `retry_after_s` seconds."""

    code = "quota_exceeded"

    def __init__(self, message: str, quota: str = "", retry_after_s: int = 2) -> None:
        super().__init__(message)
        self.quota = quota
        self.retry_after_s = retry_after_s


class HeadersTooLarge(Refused):
    code = "headers_too_large"
    status = 431


class Invalid(Refused):
    code = "invalid"
    status = 422


class BadArchive(Invalid):
    code = "bad_archive"


class BadDataset(Invalid):
    code = "bad_dataset"


class BadImage(Invalid):
    code = "bad_image"


class BadModel(Invalid):
    code = "bad_model"


class Unavailable(TidepoolError):
    code = "unavailable"
    status = 503
    retryable = True


class DatabaseUnavailable(Unavailable):
    code = "database_unavailable"


class BrokerUnavailable(Unavailable):
    code = "broker_unavailable"


class ObjectsUnavailable(Unavailable):
    code = "objects_unavailable"


class Corrupt(Unavailable):
    code = "corrupt"


class Overloaded(Unavailable):
    code = "overloaded"


class DeadlineExceeded(TidepoolError):
    code = "deadline_exceeded"
    status = 504


class JobFailed(TidepoolError):
    code = "job_failed"
    retryable = True


class WorkerLost(JobFailed):
    code = "worker_lost"


class Interrupted(TidepoolError):
    code = "interrupted"
    status = 503


class Cancelled(Interrupted):
    code = "cancelled"


class Draining(Interrupted):
    code = "draining"


class Overtaken(Interrupted):
    code = "overtaken"


class Postponed(Interrupted):
    code = "postponed"


class LeaseLost(Interrupted):
    code = "lease_lost"


def error_of(code: str, message: str) -> TidepoolError:
    """Recreate an error from its code; an unknown code gives TidepoolError."""
    kinds: list[type[TidepoolError]] = [TidepoolError]
    for kind in kinds:
        if kind.code == code:
            return kind(message)
        kinds.extend(kind.__subclasses__())
    return TidepoolError(message)
