"""Compressed request bodies."""

import gzip
import zlib

import pytest

from contract.errors import Malformed, TidepoolError, TooLarge, UnsupportedMedia
from services.gateway.oip.infer import inflate

LIMIT = 1000
BODY = b"x" * LIMIT


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", gzip.compress(BODY, mtime=0)),
        ("deflate", zlib.compress(BODY)),
        (" GZIP ", gzip.compress(BODY, mtime=0)),
        ("identity", BODY),
    ],
)
def test_a_body_of_exactly_the_limit_is_decompressed(encoding: str, body: bytes) -> None:
    assert inflate(body, encoding, LIMIT) == BODY


@pytest.mark.parametrize(
    ("encoding", "body", "error"),
    [
        ("gzip", b"plain", Malformed),
        ("gzip", b"", Malformed),
        ("gzip", gzip.compress(BODY, mtime=0)[:-4], Malformed),
        ("deflate", zlib.compress(BODY) + b"more", Malformed),
        ("gzip", gzip.compress(b" " * (LIMIT + 1), mtime=0), TooLarge),
        ("deflate", zlib.compress(bytes(100 * LIMIT)), TooLarge),
        ("br", BODY, UnsupportedMedia),
        ("gzip, gzip", BODY, UnsupportedMedia),
    ],
)
def test_an_invalid_or_too_large_body_is_refused(encoding: str, body: bytes, error: type[TidepoolError]) -> None:
    with pytest.raises(error):
        inflate(body, encoding, LIMIT)
