"""Reads the parts of multipart bodies."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException

from contract.base import Frozen
from contract.errors import Malformed, TooLarge, UnsupportedMedia
from services.gateway.edge.json_text import parse_json

MULTIPART = "multipart/form-data"
JSON = "application/json"
CHARSETS = {"utf-8", "utf8", "us-ascii", "ascii", "iso-8859-1", "latin-1", "latin1"}
MAX_DOCUMENT = 1 << 20  # bytes of a part that is not a file, or that is a JSON document

Value = TypeVar("Value", bound=Frozen)


def media_type(content_type: str) -> str:
    """Return a Content-Type without its parameters, in lower case."""
    return content_type.partition(";")[0].strip().lower()


@asynccontextmanager
async def parts(request: Request, max_files: int) -> AsyncIterator[FormData]:
    """Parse a request's body into parts; its files stay on disk until the block ends.

    Raises UnsupportedMedia for another media type or charset, TooLarge for more than `max_files` files, and the
    framework's HTTPException for a body that it cannot parse.
    """
    if media_type(request.headers.get("content-type", "")) != MULTIPART:
        raise UnsupportedMedia(f"send the body as {MULTIPART}")
    _require_charset(request.headers["content-type"])
    try:
        form = await request.form(max_files=max_files, max_fields=8, max_part_size=MAX_DOCUMENT)
    except HTTPException as error:
        if error.detail.startswith("Too many files"):
            raise TooLarge(f"one request may carry at most {max_files} files") from error
        if error.detail.startswith("Part exceeded"):
            raise _document_too_large() from error
        raise
    try:
        yield form
    finally:
        await form.close()


def _require_charset(content_type: str) -> None:
    """Raise UnsupportedMedia for a `charset` that the framework would decode texts with, except for usual ones.

    Python has codecs that take minutes for a megabyte, such as punycode, and remembers each name that it does not know.
    """
    _, parameters = parse_options_header(content_type)
    charset = parameters.get(b"charset", b"utf-8").decode("latin-1").lower()
    if charset not in CHARSETS:
        raise UnsupportedMedia("send the texts of a multipart body as UTF-8, and no other charset in Content-Type")


async def two_parts(form: FormData, file: str, document: str) -> tuple[UploadFile, str | bytes]:
    """Return the one file of a form, and its JSON part, `{}` if it has none; raises Malformed for any other form."""
    (upload,), text = await files_and_document(form, file, document)
    return upload, text


async def files_and_document(
    form: FormData, file: str, document: str, *optional: str
) -> tuple[list[UploadFile], str | bytes]:
    """Return a form's file, its `optional` files that it has, and its JSON part, `{}` if it has none.

    Raises Malformed for any other form.
    """
    text = form.get(document, "{}")
    if len(form.multi_items()) != len(form) or not {file} <= set(form) <= {file, document, *optional}:
        also = " and ".join(f"`{name}`" for name in (document, *optional))
        raise Malformed(f"a multipart body needs a part `{file}`, may have a part {also}, and no others")
    files = []
    for name in (file, *(name for name in optional if name in form)):
        upload = form[name]
        if not isinstance(upload, UploadFile):
            raise Malformed(f"the part `{name}` must be a file, with a filename")
        files.append(upload)
    return files, await _content(text) if isinstance(text, UploadFile) else text


def json_part(kind: type[Value], name: str, text: str | bytes) -> Value:
    """Parse a JSON part; raises Malformed if it is not JSON, RequestValidationError if it is not valid."""
    return _parsed(kind, text, f"the part `{name}`", name)


def json_body(kind: type[Value], text: str | bytes) -> Value:
    """Parse a JSON body; raises Malformed if it is not JSON, RequestValidationError if it is not valid."""
    return _parsed(kind, text, "the body")


async def _content(document: UploadFile) -> bytes:
    content = await document.read(MAX_DOCUMENT + 1)
    if len(content) > MAX_DOCUMENT:
        raise _document_too_large()
    return content


def _document_too_large() -> TooLarge:
    return TooLarge(f"a part that is not a file, or is JSON, may have at most {MAX_DOCUMENT} bytes")


def _parsed(kind: type[Value], text: str | bytes, noun: str, *place: str) -> Value:
    body = parse_json(text, noun)
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        errors = error.errors(include_url=False)
        if errors[0]["type"] == "json_invalid":
            raise Malformed(f"{noun} is not JSON") from error
        located = [{**detail, "loc": ("body", *place, *detail["loc"])} for detail in errors]
        for name in reversed(place):
            body = {name: body}
        raise RequestValidationError(located, body=body) from error
