"""The requests that wait for one model version, and their bytes, are bounded."""

import pytest

from contract.errors import DeadlineExceeded, Overloaded, TooLarge
from contract.inference import EncodedImage, Target
from services.gateway.serving.batching.request import Request
from services.gateway.serving.batching.waiting import Waiting
from tests.unit.gateway.serving.batching.pool import ARTIFACT, Pool, settled

pytestmark = pytest.mark.anyio

LARGE = "x" * 300_000


def pool_with_a_batch_in_flight() -> Pool:
    pool = Pool(flights=1, waiting_bytes=1_000_000)
    pool.ask("in flight")
    return pool


async def test_images_over_the_bytes_that_may_wait_are_refused() -> None:
    # given as many large images as may wait
    pool = pool_with_a_batch_in_flight()
    await settled()
    waiting = [pool.ask(LARGE) for _ in range(2)]
    await settled()

    # when another arrives, then it is refused
    with pytest.raises(Overloaded, match="too many bytes"):
        await pool.ask(LARGE)

    # and small images, and those for other models, still wait for their batch
    small, other = pool.ask("small"), pool.ask("other", Target("dogs", 1, ARTIFACT))
    assert (await pool.sent())[1:] == [["other"]]
    await pool.reply(1)
    await pool.reply(0)
    await pool.reply(2)
    assert [await task for task in (*waiting, small, other)] == [LARGE, LARGE, "small", "other"]

    # and there is room again
    pool.ask("in flight")
    await settled()
    for _ in range(2):
        pool.ask(LARGE)
    await settled()
    with pytest.raises(Overloaded):
        await pool.ask(LARGE)


async def test_requests_that_expire_or_are_abandoned_give_their_bytes_back() -> None:
    pool = pool_with_a_batch_in_flight()
    await settled()
    for _ in range(3):
        expired = [pool.ask(LARGE, within_s=0.001) for _ in range(2)]
        for task in expired:
            with pytest.raises(DeadlineExceeded):
                await task
        abandoned = [pool.ask(LARGE) for _ in range(2)]
        await settled()
        for task in abandoned:
            task.cancel()
        await settled()

    assert await pool.sent() == [["in flight"]]


async def test_an_image_that_can_never_wait_is_too_large() -> None:
    with pytest.raises(TooLarge, match="at most 749488 bytes"):
        await Pool(waiting_bytes=1_000_000).ask("x" * 750_000)
    with pytest.raises(TooLarge, match="at most 749488 bytes"):
        await Pool(flight_bytes=1_000_000).ask("x" * 750_000)


async def test_a_full_queue_has_room_again_when_a_request_in_it_is_done() -> None:
    # given
    waiting = Waiting(most=2, most_bytes=1_000_000, largest=1_000_000)
    requests = [Request.of(EncodedImage(b"image", 1), 1.0, "id", lambda _: None) for _ in range(4)]
    for request in requests[:2]:
        waiting.add(request)
    with pytest.raises(Overloaded, match="2 requests already wait"):
        waiting.add(requests[2])

    # when
    requests[0].leave()
    waiting.free(requests[0])

    # then one more may wait
    waiting.add(requests[2])
    with pytest.raises(Overloaded):
        waiting.add(requests[3])
    assert waiting.next(2, 1_000, lambda _: True)[0] == requests[1:3]
