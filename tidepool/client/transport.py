"""HTTP for the client: authentication, retries, problem details as exceptions, event streams and upload progress."""

import io
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
from httpx_sse import ServerSentEvent, connect_sse

from tidepool.errors import ApiError

RETRIES = 5
MAX_PAUSE_S = 30.0  # longer Retry-After values are cut to this
RETRYABLE = {httpx.codes.TOO_MANY_REQUESTS, httpx.codes.SERVICE_UNAVAILABLE}
TIMEOUT = httpx.Timeout(90.0, connect=5.0)  # a long poll takes up to 60 s
LOOPBACK = ("all://127.0.0.1", "all://localhost")  # never through a proxy set in the environment

OnBytes = Callable[[int, int], None]  # bytes sent, total bytes


class Transport:
    def __init__(
        self, url: str, key: str, transport: httpx.BaseTransport | None = None, verify: ssl.SSLContext | bool = True
    ) -> None:
        self._http = httpx.Client(
            base_url=url,
            headers={"Authorization": f"Bearer {key}"},
            timeout=TIMEOUT,
            transport=transport,
            verify=verify,
            mounts=dict.fromkeys(LOOPBACK),
        )

    def call(self, method: str, path: str, **arguments: Any) -> Any:
        """Return the response's JSON, None if it has no body. Retries on 429 and 503 with Retry-After.

        Arguments are those of httpx.Client.request. Raises ApiError.
        """
        response = self._answered(method, path, arguments)
        return response.json() if response.content else None

    def text(self, path: str) -> str:
        """Return the text of a GET; retries and raises as `call` does."""
        return self._answered("GET", path, {}).text

    def download(self, path: str, file: Path, params: dict[str, str]) -> None:
        """Stream a GET to a file, which appears when it is complete; raises ApiError, without retries."""
        partial = file.with_name(f"{file.name}.part")
        try:
            with self._http.stream("GET", path, params=params) as response:
                if not response.is_success:
                    response.read()
                    raise _error(response)
                with partial.open("wb") as stream:
                    for chunk in response.iter_bytes():
                        stream.write(chunk)
            partial.replace(file)
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error
        finally:
            partial.unlink(missing_ok=True)

    def events(self, path: str, headers: dict[str, str]) -> Iterator[ServerSentEvent]:
        """Yield Server-Sent Events as they arrive; raises ApiError, also if the stream breaks off."""
        try:
            with connect_sse(self._http, "GET", path, headers=headers) as source:
                response = source.response
                if not response.is_success:
                    response.read()
                    raise _error(response)
                if response.status_code == httpx.codes.NO_CONTENT:  # the job has ended
                    return
                yield from source.iter_sse()
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error

    def close(self) -> None:
        self._http.close()

    def _answered(self, method: str, path: str, arguments: dict[str, Any]) -> httpx.Response:
        """Return a successful response; retries on 429 and 503 with Retry-After. Raises ApiError."""
        response = self._send(method, path, arguments)
        for _ in range(RETRIES):
            pause = _pause(response)
            if pause is None:
                break
            time.sleep(pause)
            response = self._send(method, path, arguments)
        if not response.is_success:
            raise _error(response)
        return response

    def _send(self, method: str, path: str, arguments: dict[str, Any]) -> httpx.Response:
        try:
            return self._http.request(method, path, **arguments)
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error

    def _unreachable(self, error: httpx.HTTPError) -> ApiError:
        message = f"{self._http.base_url} does not answer: {type(error).__name__}"
        if (reason := _untrusted(error)) is not None:
            message = (
                f"The certificate of {self._http.base_url} is not trusted here: {reason}. If a CA of your own made it, "
                "set SSL_CERT_FILE to the PEM file of that CA."
            )
        return ApiError(status=0, code="unreachable", message=message)


class UploadFile(io.FileIO):
    """A file that reports how much of it was read; httpx takes its length from the file descriptor."""

    def __init__(self, path: Path, on_bytes: OnBytes) -> None:
        super().__init__(path)
        self._on_bytes = on_bytes
        self._size = path.stat().st_size

    def read(self, size: int | None = -1, /) -> bytes:
        chunk = super().read(-1 if size is None else size) or b""
        self._on_bytes(self.tell(), self._size)
        return chunk


def _pause(response: httpx.Response) -> float | None:
    """Return the seconds to wait before a retry, None if the request must not be retried."""
    seconds = response.headers.get("Retry-After", "")
    return min(float(seconds), MAX_PAUSE_S) if response.status_code in RETRYABLE and seconds.isdecimal() else None


def _untrusted(error: BaseException | None) -> str | None:
    """Return why a server's certificate was refused, None if that is not the cause of the error."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return error.verify_message
        error = error.__cause__ or error.__context__
    return None


def _error(response: httpx.Response) -> ApiError:
    try:
        problem = response.json()
    except ValueError:
        problem = None
    if not isinstance(problem, dict):
        problem = {}
    return ApiError(
        status=response.status_code,
        code=str(problem.get("code", "http")),
        message=str(problem.get("detail") or problem.get("title") or response.reason_phrase),
        request_id=problem.get("request_id"),
    )
