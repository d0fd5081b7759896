"""The only place that unpacks a compressed request body, and never beyond its bound."""

import zlib

from contract.errors import Malformed, TooLarge, UnsupportedMedia

_EITHER = zlib.MAX_WBITS | 32  # zlib looks whether it is gzip or, as HTTP's deflate means, zlib
_IDENTITY = ("", "identity")
_KNOWN = ("gzip", "deflate")


def inflate(body: bytes, encoding: str, limit: int) -> bytes:
    """The body behind a Content-Encoding, of at most `limit` bytes; raises UnsupportedMedia, Malformed, TooLarge."""
    encoding = encoding.strip().lower()
    if encoding in _IDENTITY:
        return body
    if encoding not in _KNOWN:
        raise UnsupportedMedia(f"send the body plain, or with Content-Encoding {' or '.join(_KNOWN)}")
    stream = zlib.decompressobj(_EITHER)
    try:
        found = stream.decompress(body, limit + 1)
    except zlib.error as error:
        raise Malformed(f"the body is not {encoding}, as its Content-Encoding says") from error
    if len(found) > limit:
        raise TooLarge(f"the body may unpack to at most {limit} bytes")
    if not stream.eof or stream.unused_data:
        raise Malformed(f"the body is not one whole {encoding} stream")
    return found
