"""When a request is sent again, and after which pause: exponential back-off with full jitter."""

import random

from tidepool_client.errors import ApiError, ClientError, Conflict, Unreachable, UntrustedCertificate

BASE_S = 0.5
MAX_PAUSE_S = 60.0  # a longer Retry-After is not waited for
_ALWAYS = {408, 429}
_FINAL_CODES = {"deadline_exceeded"}  # of a 5xx: another try takes as long again


def pause_before_retry(error: ClientError, attempt: int, *, repeatable: bool) -> float | None:
    """Return the seconds to wait before the request is sent again, None if it must not be.

    `attempt` counts from 0. `repeatable` says that sending the request twice does no more than sending it once; others
    are only repeated if they cannot have had an effect.
    """
    if not _may_repeat(error, attempt, repeatable):
        return None
    jitter = random.uniform(0, min(MAX_PAUSE_S, BASE_S * 2**attempt))  # noqa: S311  not a secret
    retry_after = error.retry_after or 0.0 if isinstance(error, ApiError) else 0.0
    return None if retry_after > MAX_PAUSE_S else retry_after + jitter


def _may_repeat(error: ClientError, attempt: int, repeatable: bool) -> bool:
    match error:
        case UntrustedCertificate():
            return False
        case Unreachable():
            return repeatable or not error.sent
        case Conflict():  # the first try may still be in progress, with the same Idempotency-Key
            return repeatable and attempt > 0
        case ApiError():
            failed = error.status >= 500 and error.code not in _FINAL_CODES
            return error.status in _ALWAYS or (failed and repeatable)
    return False
