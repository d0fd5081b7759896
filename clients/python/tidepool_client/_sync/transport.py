"""HTTP: authentication, retries, errors by status, pages, event streams, downloads."""

import ssl
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import httpx
from httpx_sse import ServerSentEvent, connect_sse
from pydantic_core import to_jsonable_python

from tidepool_client.errors import (
    ApiError,
    ClientError,
    InvalidInput,
    NotFound,
    UnexpectedResponse,
    error_of,
    unreachable,
)
from tidepool_client.files import FilePath
from tidepool_client.responses import Model, Page, parsed
from tidepool_client.retries import pause_before_retry

LOOPBACK = ("all://127.0.0.1", "all://localhost")  # never through a proxy set in the environment
PAGE = 200  # the most items that the server puts into a page


class NoMoreEvents(Exception):
    """The job has ended and has no later events."""


class Transport:
    """Sends requests; each raises ClientError."""

    def __init__(
        self,
        url: str,
        headers: dict[str, str],
        *,
        timeout: httpx.Timeout | float,
        retries: int,
        verify: ssl.SSLContext | bool,
        transport: httpx.BaseTransport | None,
    ) -> None:
        self.url = url
        self._retries = retries
        options: dict[str, Any] = {
            "timeout": timeout,
            "verify": verify,
            "transport": transport,
            "mounts": dict.fromkeys(LOOPBACK),
        }
        try:
            self._http = httpx.Client(base_url=url, headers=headers, **options)
            valid = self._http.base_url.scheme in {"http", "https"} and self._http.base_url.host
        except httpx.InvalidURL:
            valid = False
        if not valid:
            raise InvalidInput(f"{url!r} is not an address; write it like http://127.0.0.1:8080")
        # of the object store: presigned URLs carry their own credentials
        self._store = httpx.Client(**options)

    def close(self) -> None:
        self._http.close()
        self._store.close()

    def call(self, method: str, path: str, *, repeatable: bool = True, **arguments: Any) -> Any:
        """Return the response's JSON, None if it has no body. Arguments are those of httpx.Client.request.

        With `repeatable` False, the request is not sent again if it may have had an effect.
        """
        if "json" in arguments:
            arguments["json"] = to_jsonable_python(arguments["json"])  # also models of the contract, and dates
        response = self.request(method, path, repeatable=repeatable, **arguments)
        if not response.content:
            return None
        try:
            return response.json()
        except ValueError:
            raise UnexpectedResponse(f"{self.url} did not answer with JSON; is it the address of Tidepool?") from None

    def create(self, path: str, method: str = "POST", **arguments: Any) -> Any:
        """Send a request with an Idempotency-Key, so that a retry creates nothing twice; return the response's JSON."""
        headers = {"Idempotency-Key": uuid.uuid4().hex} | arguments.pop("headers", {})
        return self.call(method, path, headers=headers, **arguments)

    def delete(self, path: str) -> None:
        """DELETE; a retry that finds nothing has succeeded, if the first try may have deleted it."""
        self.request("DELETE", path, gone=True)

    def request(
        self, method: str, path: str, *, repeatable: bool = True, gone: bool = False, **arguments: Any
    ) -> httpx.Response:
        """Return a successful response that has been read; with `gone`, a 404 of a retry counts as one."""
        effect = False  # whether an earlier try may have had an effect
        for attempt in count():
            try:
                return self._send(method, path, arguments)
            except NotFound:
                if gone and effect:
                    return httpx.Response(204)
                raise
            except ClientError as error:
                self.pause(error, attempt, repeatable=repeatable)
                effect = effect or not isinstance(error, ApiError)
        raise AssertionError("unreachable")

    def pause(self, error: ClientError, attempt: int, *, repeatable: bool = True) -> None:
        """Wait before another try after this error; raises the error if there must be none. `attempt` starts at 0."""
        seconds = None if attempt >= self._retries else pause_before_retry(error, attempt, repeatable=repeatable)
        if seconds is None:
            raise error
        time.sleep(seconds)

    def pages(
        self, kind: type[Model], path: str, limit: int | None, params: dict[str, Any] | None = None
    ) -> Iterator[Model]:
        """Yield the items of a list, at most `limit`; fetches page after page."""
        query = {**(params or {}), "limit": PAGE if limit is None else min(PAGE, limit)}
        remaining = limit
        while remaining is None or remaining > 0:
            page = parsed(Page, self.call("GET", path, params=query))
            for item in page.items[:remaining]:
                yield parsed(kind, item)
            if remaining is not None:
                remaining -= len(page.items)
            if page.next is None:
                return
            query["cursor"] = page.next

    def items(self, kind: type[Model], path: str) -> Iterator[Model]:
        """Yield the items of a list that has no pages."""
        for item in parsed(Page, self.call("GET", path)).items:
            yield parsed(kind, item)

    def download(self, path: str, file: FilePath, params: dict[str, Any] | None = None) -> Path:
        """Stream a GET to a file, which appears when it is complete; follows a redirect to the object store."""
        target = Path(file)
        partial = target.with_name(f"{target.name}.part")
        try:
            for attempt in count():
                try:
                    with self._streamed(path, params or {}) as response:
                        with partial.open("wb") as stream:
                            for chunk in response.iter_bytes():
                                stream.write(chunk)
                    return partial.replace(target)
                except ClientError as error:
                    self.pause(error, attempt)
        finally:
            partial.unlink(missing_ok=True)
        raise AssertionError("unreachable")

    def events(self, path: str, after: int) -> Iterator[ServerSentEvent]:
        """Yield the Server-Sent Events after an id as they arrive, without retries; raises NoMoreEvents."""
        try:
            with connect_sse(self._http, "GET", path, headers={"Last-Event-ID": str(after)}) as source:
                response = source.response
                if not response.is_success:
                    response.read()
                    raise error_of(response)
                if response.status_code == httpx.codes.NO_CONTENT:
                    raise NoMoreEvents
                for event in source.iter_sse():
                    yield event
        except httpx.HTTPError as error:
            raise unreachable(error, self.url) from error

    def put(self, url: str, body: Iterable[bytes], size: int) -> None:
        """PUT a body to a presigned URL of the object store, without retries."""
        host = httpx.URL(url).netloc.decode()
        request = httpx.Request("PUT", url, headers={"Host": host, "Content-Length": str(size)}, content=body)
        try:
            response = self._store.send(request)
        except httpx.HTTPError as error:
            raise unreachable(error, f"the object store at {host}") from error
        if not response.is_success:
            raise error_of(response)

    @contextmanager
    def _streamed(self, path: str, params: dict[str, Any]) -> Iterator[httpx.Response]:
        try:
            with self._http.stream("GET", path, params=params) as response:
                if not response.is_redirect:
                    yield _successful(response)
                    return
                location = response.headers["Location"]
            with self._store.stream("GET", location) as response:
                yield _successful(response)
        except httpx.HTTPError as error:
            raise unreachable(error, self.url) from error

    def _send(self, method: str, path: str, arguments: dict[str, Any]) -> httpx.Response:
        try:
            response = self._http.request(method, path, **arguments)
        except httpx.HTTPError as error:
            raise unreachable(error, self.url) from error
        if not response.is_success:
            raise error_of(response)
        return response


def _successful(response: httpx.Response) -> httpx.Response:
    if not response.is_success:
        response.read()
        raise error_of(response)
    return response
