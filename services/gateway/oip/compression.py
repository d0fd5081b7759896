"""Decompresses request bodies, up to a limit."""

import zlib

from contract.errors import Malformed, TooLarge, UnsupportedMedia

_GZIP_OR_ZLIB = zlib.MAX_WBITS | 32  # detected by zlib; HTTP's deflate is the zlib format
_IDENTITY = ("", "identity")
_KNOWN = ("gzip", "deflate")


def inflate(body: bytes, encoding: str, limit: int) -> bytes:
    """Decompress a body to at most `limit` bytes; raises UnsupportedMedia, Malformed, TooLarge."""
    encoding = encoding.strip().lower()
    if encoding in _IDENTITY:
        return body
    if encoding not in _KNOWN:
        raise UnsupportedMedia(f"send the body uncompressed, or with Content-Encoding {' or '.join(_KNOWN)}")
    stream = zlib.decompressobj(_GZIP_OR_ZLIB)
    try:
        content = stream.decompress(body, limit + 1)
    except zlib.error as error:
        raise Malformed(f"the body is not {encoding}, as its Content-Encoding says") from error
    if len(content) > limit:
        raise TooLarge(f"the body may decompress to at most {limit} bytes")
    if not stream.eof or stream.unused_data:
        raise Malformed(f"the body is not one complete {encoding} stream")
    return content
