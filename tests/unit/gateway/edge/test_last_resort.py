"""The answer to an unexpected exception."""

from collections.abc import Iterator

import httpx
import pytest
from fastapi import FastAPI
from starlette.responses import StreamingResponse
from structlog.typing import EventDict

from tests.support.problems import problem

pytestmark = pytest.mark.anyio


async def test_the_answer_to_a_bug_shows_only_the_request_id(
    app: FastAPI, anonymous: httpx.AsyncClient, logs: list[EventDict]
) -> None:
    # given an endpoint with a bug
    @app.get("/buggy")
    def buggy() -> None:
        raise FileNotFoundError("/srv/secret")

    # when it is called
    response = await anonymous.get("/buggy", headers={"X-Request-ID": "r-1"})

    # then the client gets only the request id, and the log has the exception
    result = problem(response, 500, "internal")
    assert result.request_id == "r-1"
    assert "secret" not in response.text
    assert "FileNotFound" not in response.text
    assert any(isinstance(line.get("exc_info"), FileNotFoundError) for line in logs)


async def test_an_answer_that_has_started_is_cut_off(app: FastAPI, anonymous: httpx.AsyncClient) -> None:
    def half() -> Iterator[bytes]:
        yield b"half of it"
        raise ValueError("a bug")

    @app.get("/half")
    def stream() -> StreamingResponse:
        return StreamingResponse(half())

    # not ended as if it were whole
    with pytest.raises(ValueError, match="a bug"):
        await anonymous.get("/half")
