"""Compressed request bodies."""

import gzip
import zlib

import pytest

from contract.errors import Malformed, Overloaded, TidepoolError, TooLarge, UnsupportedMedia
from services.gateway.edge.byte_budget import ByteBudget, Hold
from services.gateway.oip import infer
from services.gateway.oip.infer import inflate

pytestmark = pytest.mark.anyio

LIMIT = 1000
BODY = b"x" * LIMIT


@pytest.fixture(params=[4 << 20, 100], ids=["one piece", "several pieces"], autouse=True)
def piece(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(infer, "PIECE", request.param)


@pytest.fixture
def hold() -> Hold:
    return Hold(ByteBudget(LIMIT))


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", gzip.compress(BODY, mtime=0)),
        ("deflate", zlib.compress(BODY)),
        (" GZIP ", gzip.compress(BODY, mtime=0)),
        ("identity", BODY),
    ],
)
async def test_a_body_of_exactly_the_limit_is_decompressed(encoding: str, body: bytes, hold: Hold) -> None:
    assert await inflate(body, encoding, LIMIT, hold) == BODY


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
async def test_an_invalid_or_too_large_body_is_refused(
    encoding: str, body: bytes, error: type[TidepoolError], hold: Hold
) -> None:
    with pytest.raises(error):
        await inflate(body, encoding, LIMIT, hold)


async def test_what_bodies_decompress_to_is_bounded_over_all_requests(hold: Hold) -> None:
    bomb, budget = gzip.compress(bytes(5 << 14), mtime=0), ByteBudget(16 << 14)
    assert len(bomb) < 10_000

    holds = [Hold(budget) for _ in range(3)]
    for one in holds[:2]:
        await inflate(bomb, "gzip", 8 << 14, one)
    with pytest.raises(Overloaded):
        await inflate(bomb, "gzip", 8 << 14, holds[2])

    holds[0].release()
    assert len(await inflate(bomb, "gzip", 8 << 14, holds[2])) == 5 << 14
