"""The only place that reads the parts of a multipart body."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import Request
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException

from contract.errors import TooLarge, UnsupportedMedia

MULTIPART = "multipart/form-data"


def media_type(request: Request) -> str:
    """The Content-Type without its parameters, in lower case."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


@asynccontextmanager
async def parts(request: Request, max_files: int) -> AsyncIterator[FormData]:
    """The parts of a request's body; its files live on disk until the block ends.

    Raises UnsupportedMedia for another body, TooLarge for more than `max_files` files, and what the framework raises
    for a body that it cannot parse.
    """
    if media_type(request) != MULTIPART:
        raise UnsupportedMedia(f"send the body as {MULTIPART}")
    try:
        form = await request.form(max_files=max_files, max_fields=8)
    except HTTPException as error:
        if error.detail.startswith("Too many files"):
            raise TooLarge(f"one request may carry at most {max_files} files") from error
        raise
    try:
        yield form
    finally:
        await form.close()
