"""An infer request over HTTP: from its headers and body to the bytes of its answer."""

import math
import zlib
from collections.abc import Iterable

from anyio import CapacityLimiter, to_thread
from starlette.concurrency import run_in_threadpool

from contract.errors import Invalid, Malformed, TooLarge, UnsupportedMedia
from services.gateway.edge.byte_budget import Hold
from services.gateway.oip.binary_codec import Encoded, decode, encode
from services.gateway.oip.json_codec import MAX_JSON
from services.gateway.serving.dataplane import DataPlane

PIECE = 4 << 20  # bytes that are decompressed at once
LARGE = 1 << 18  # bytes of JSON; parsing more would block the event loop for too long

UNUSUAL = frozenset((b"content-encoding", b"x-request-timeout"))  # headers that the fast path does not handle

Headers = Iterable[tuple[bytes, bytes]]

_PARSERS = CapacityLimiter(2)  # each takes up to 25 times the size of its JSON
_GZIP_OR_ZLIB = zlib.MAX_WBITS | 32  # detected by zlib; HTTP's deflate is the zlib format
_IDENTITY = ("", "identity")
_KNOWN = ("gzip", "deflate")


async def infer(
    plane: DataPlane, raw: Headers, body: bytes, source: tuple[str, str, str], limit: int, hold: Hold
) -> Encoded:
    """Answer one request for `source`, the project, model and version; its body may decompress to `limit` bytes.

    The names of the `raw` headers are lower-case, as in ASGI. `hold` is the request's, for what a body decompresses to.

    Raises what `decode`, `inflate` and `DataPlane.infer` raise.
    """
    headers = dict(raw)
    if encoding := headers.get(b"content-encoding"):
        body = await inflate(body, encoding.decode("latin-1"), limit, hold)
    json_size = json_size_of(headers.get(b"inference-header-content-length", b""))
    size = len(body) if json_size is None else json_size
    if size > MAX_JSON:
        raise TooLarge(f"the JSON of a request may have at most {MAX_JSON} bytes; send large tensors as binary data")
    if size > LARGE:
        request = await to_thread.run_sync(decode, body, json_size, limiter=_PARSERS)
    else:
        request = decode(body, json_size)
    deadline = headers.get(b"x-request-timeout")
    within_s = _seconds(deadline) if deadline else request.timeout_s
    return encode(await plane.infer(*source, request.tensors, within_s), request)


def json_size_of(length: bytes) -> int | None:
    """Parse Inference-Header-Content-Length, the size of the JSON; None if it is absent. Raises Malformed."""
    if length and not (length.isdigit() and len(length) <= 18):
        raise Malformed("Inference-Header-Content-Length is not a number of bytes")
    return int(length) if length else None


def _seconds(text: bytes) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= 300:
        raise Invalid("X-Request-Timeout is in seconds, above 0 and at most 300")
    return seconds


async def inflate(body: bytes, encoding: str, limit: int, hold: Hold) -> bytes:
    """Decompress a body to at most `limit` bytes, which `hold` counts.

    Raises UnsupportedMedia, Malformed, TooLarge, and Overloaded if the budget has no room for them.
    """
    encoding = encoding.strip().lower()
    if encoding in _IDENTITY:
        return body
    if encoding not in _KNOWN:
        raise UnsupportedMedia(f"send the body uncompressed, or with Content-Encoding {' or '.join(_KNOWN)}")
    stream, content, rest = zlib.decompressobj(_GZIP_OR_ZLIB), bytearray(), body
    while True:
        most = min(PIECE, limit + 1 - len(content))
        try:
            piece = await run_in_threadpool(stream.decompress, rest, most)
        except zlib.error as error:
            raise Malformed(f"the body is not {encoding}, as its Content-Encoding says") from error
        content += piece
        if len(content) > limit:
            raise TooLarge(f"the body may decompress to at most {limit} bytes")
        hold.grow_to(len(body) + len(content))
        rest = stream.unconsumed_tail
        if stream.eof or (not rest and len(piece) < most):
            break
    if not stream.eof or stream.unused_data:
        raise Malformed(f"the body is not one complete {encoding} stream")
    return bytes(content)
