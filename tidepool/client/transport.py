"""The only place that speaks HTTP: the key, retries when told to come back, problem details as exceptions."""

import time
from collections.abc import Iterator
from typing import Any

import httpx

from tidepool.errors import ApiError

RETRIES = 5
LONGEST_PAUSE = 30.0  # seconds; a server that asks for more gets an impatient client
COME_BACK = {httpx.codes.TOO_MANY_REQUESTS, httpx.codes.SERVICE_UNAVAILABLE}
TIMEOUT = httpx.Timeout(90.0, connect=5.0)  # a long poll answers within 60 s
LOOPBACK = ("all://127.0.0.1", "all://localhost")  # no proxy of the environment can reach these


class Transport:
    def __init__(self, url: str, key: str, transport: httpx.BaseTransport | None = None) -> None:
        self._http = httpx.Client(
            base_url=url,
            headers={"Authorization": f"Bearer {key}"},
            timeout=TIMEOUT,
            transport=transport,
            mounts=dict.fromkeys(LOOPBACK),
        )

    def call(self, method: str, path: str, **arguments: Any) -> Any:
        """The JSON of a successful answer; raises ApiError. Arguments are those of httpx.Client.request."""
        answer = self._send(method, path, arguments)
        for _ in range(RETRIES):
            pause = _pause(answer)
            if pause is None:
                break
            time.sleep(pause)
            answer = self._send(method, path, arguments)
        if not answer.is_success:
            raise _error(answer)
        return answer.json() if answer.content else None

    def stream(self, path: str, headers: dict[str, str]) -> Iterator[bytes]:
        """The bytes of an answer as they come; raises ApiError, also when it breaks off."""
        try:
            with self._http.stream("GET", path, headers=headers) as answer:
                if not answer.is_success:
                    answer.read()
                    raise _error(answer)
                yield from answer.iter_bytes()
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error

    def close(self) -> None:
        self._http.close()

    def _send(self, method: str, path: str, arguments: dict[str, Any]) -> httpx.Response:
        try:
            return self._http.request(method, path, **arguments)
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error

    def _unreachable(self, error: httpx.HTTPError) -> ApiError:
        message = f"{self._http.base_url} does not answer: {type(error).__name__}"
        return ApiError(status=0, code="unreachable", message=message)


def _pause(answer: httpx.Response) -> float | None:
    """Seconds to wait before another attempt, or None if the answer asks for none."""
    wanted = answer.headers.get("Retry-After", "")
    return min(float(wanted), LONGEST_PAUSE) if answer.status_code in COME_BACK and wanted.isdecimal() else None


def _error(answer: httpx.Response) -> ApiError:
    try:
        problem = answer.json()
    except ValueError:
        problem = None
    if not isinstance(problem, dict):
        problem = {}
    return ApiError(
        status=answer.status_code,
        code=str(problem.get("code", "http")),
        message=str(problem.get("detail") or problem.get("title") or answer.reason_phrase),
        request_id=problem.get("request_id"),
    )
