"""The only place that reads the parts of a multipart body."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException

from contract.base import Frozen
from contract.errors import Malformed, TooLarge, UnsupportedMedia

MULTIPART = "multipart/form-data"

Value = TypeVar("Value", bound=Frozen)


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


async def two_parts(form: FormData, file: str, document: str) -> tuple[UploadFile, str | bytes]:
    """The one file of a form, and the JSON beside it, `{}` where there is none; raises Malformed for anything else."""
    found, said = form.get(file), form.get(document, "{}")
    if len(form.multi_items()) != len(form) or not {file} <= set(form) <= {file, document}:
        raise Malformed(f"a multipart body needs a part `{file}`, may have a part `{document}`, and no others")
    if not isinstance(found, UploadFile):
        raise Malformed(f"the part `{file}` must be a file, with a filename")
    return found, await said.read() if isinstance(said, UploadFile) else said


def json_part(kind: type[Value], name: str, text: str | bytes) -> Value:
    """The value that a part's JSON describes; raises Malformed, or the framework's error for what is wrong in it."""
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        found = error.errors(include_url=False)
        if found[0]["type"] == "json_invalid":
            raise Malformed(f"the part `{name}` is not JSON") from error
        faults = [{**fault, "loc": ("body", name, *fault["loc"])} for fault in found]
        raise RequestValidationError(faults) from error
