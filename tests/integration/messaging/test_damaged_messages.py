"""Every reader of Redis drops what no service would send, and goes on with the next message."""

import asyncio
import threading
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from typing import Any

import msgspec
import pytest
import redis as redis_py
from prometheus_client import REGISTRY

from contract.errors import Unavailable
from contract.inference import Batch, EncodedImage, Failure, Question, Reply, Scores, Tensor, Tensors
from contract.reports import GatewayReport, PoolReports, ReplicaReport
from messaging import presence, redis_keys
from messaging import responder as responder_module
from messaging.answering import BatchHandler
from messaging.busy import Busy
from messaging.presence import Presence
from messaging.reports import RedisReports
from messaging.responder import Responder
from messaging.settings import BrokerSettings
from services.gateway.serving.batching.batcher import Batcher
from services.storage.database import Database
from services.storage.pools import demand
from services.storage.pools.demand import Demand
from services.storage.pools.pools import Pools
from tests.integration.worker.echo_client import TARGET, TIMEOUT_S, ask
from tests.integration.worker.echo_worker import respond
from tests.support.batcher import batcher
from tests.support.servers import Server

pytestmark = pytest.mark.anyio

NAN, INFINITY = float("nan"), float("inf")
MANY = b"\xdd\xff\xff\xff\xff"  # the header of an array of 2³² - 1 items
encode = msgspec.msgpack.encode
JUNK = (
    *(b"", b"garbage", b"\xff" * 100, b"\x00" * 1000, b"{}", b'"text"', b"\x91" * 100_000, MANY),
    *(encode(value) for value in (None, 7, NAN, "text", [], {}, [[]] * 5, {"id": "x"}, ["x"] * 5, [None] * 9)),
    encode("x" * (1 << 20)),
)
QUESTION = Question(EncodedImage(b"hello"), 1e11, "request")  # its deadline is far
BATCH = Batch("batch", "address", TARGET, (QUESTION,))
REPLY = Reply("batch", (Scores((("olleh", 1.0),)),), 1.0, "echo", 8)


def changed(message: Batch | Reply, **fields: object) -> bytes:
    return encode(msgspec.structs.replace(message, **fields))


def deeper(message: bytes) -> bytes:
    """Add a field of a later release, which is nested deeply, to an encoded array."""
    return bytes([message[0] + 1]) + message[1:] + b"\x91" * 100_000 + b"\x90"


DAMAGED_BATCHES = (
    *JUNK,
    encode(BATCH)[:-1],
    encode(BATCH).replace(b"hello", b"hell"),
    encode(BATCH).replace(b"batch", b"\xff\xfe\xff\xfe\xff"),
    deeper(encode(BATCH)),
    changed(BATCH, id="x" * 300),
    changed(BATCH, reply_to=7),
    changed(BATCH, target=None),
    *(
        changed(BATCH, target=msgspec.structs.replace(TARGET, **field))
        for field in ({"model": "a\0b"}, {"model": "x" * 64}, {"project": ""}, {"version": -1}, {"version": 2**40})
    ),
    changed(BATCH, questions=[[["EncodedImage", "text", 1], 1.0, "request"]]),
    changed(BATCH, questions=[[["Unknown", b"", 1], 1.0, "request"]]),
)
UNANSWERABLE_QUESTIONS = (
    Question(EncodedImage(b"hello", top_k=-(2**60)), INFINITY, "top"),
    Question(EncodedImage(b"\xff\xfe"), INFINITY, "not text"),
    Question(Tensors((Tensor("x", "NOTHING", (-1, 2**60), b"short"),), ("y",)), INFINITY, "tensor"),
    Question(EncodedImage(b"late"), NAN, "nan"),
)
DAMAGED_REPLIES = (
    *JUNK,
    encode(REPLY)[:-1],
    encode(REPLY).replace(b"olleh", b"\xff\xfe\xff\xfe\xff"),
    deeper(encode(REPLY)),
    changed(REPLY, answers=[["Unknown", 1]]),
    *(changed(REPLY, inference_ms=value) for value in (NAN, INFINITY, -1.0, "1")),
    *(changed(REPLY, max_batch=value) for value in (-1, -(2**62), None)),
    changed(REPLY, provider="x" * 300),
)
DAMAGED_REPORTS = (
    *(b"", b"garbage", b"null", b"[]", b"7", b'"text"', b"{}", b"\xff\xfe", b"[" * 100_000, b"{" * 100_000),
    *(b'{"job":1,"busy":0.5,"draining":false}', b'{"job":false,"busy":"0.5","draining":false}'),
    *(b'{"job":false,"busy":%s,"draining":false}' % value for value in (b"NaN", b"-1", b"1.5", b"1e999", b"9" * 5000)),
    *(b'{"waiting":%s,"per_minute":1}' % value for value in (b"-1", b"1.5", b"9" * 5000, b"1e10", b"99999999999")),
    *(b'{"waiting":1,"per_minute":%s}' % value for value in (b"NaN", b"-1", b"1e300", b"null")),
)


@pytest.fixture
def client(redis: Server) -> Iterator[Any]:
    with redis_py.Redis.from_url(redis.url) as client:
        yield client


@pytest.fixture
def responder(client: Any, pool: str, monkeypatch: pytest.MonkeyPatch) -> Responder:
    monkeypatch.setattr(responder_module, "AWAKE_S", 30.0)  # this machine may be slow
    return Responder(pool, client, BatchHandler(respond), b"wakeup", Busy())


@pytest.fixture
def answering(responder: Responder) -> Iterator[None]:
    """A thread that answers the batches of the pool."""
    ended = threading.Event()

    def answer() -> None:
        while not ended.is_set():
            responder.run()

    thread = threading.Thread(target=answer)
    thread.start()
    yield
    ended.set()
    thread.join()


@pytest.fixture
async def gateway(redis: Server, pool: str, answering: None) -> AsyncIterator[Batcher]:
    async with batcher(pool, redis.url) as gateway:
        assert await ask(gateway, "hello") == "olleh"
        yield gateway


def dropped(kind: str) -> float:
    return REGISTRY.get_sample_value("tidepool_dropped_messages_total", {"kind": kind}) or 0.0


def answers(client: Any, address: str) -> tuple[object, ...]:
    (reply,) = client.lrange(address, 0, -1)
    return msgspec.msgpack.decode(reply, type=Reply).answers


def push(client: Any, pool: str, *batches: bytes) -> str:
    """Push batches and then one that can be answered; return the address of its reply."""
    address = f"replies-{uuid.uuid4().hex}"
    client.rpush(redis_keys.batches(pool), *batches, changed(BATCH, reply_to=address))
    return address


def test_a_replica_drops_damaged_batches(client: Any, pool: str, responder: Responder) -> None:
    before = dropped("batch")
    address = push(client, pool, *DAMAGED_BATCHES)

    responder.run()

    assert answers(client, address) == REPLY.answers
    assert dropped("batch") - before == len(DAMAGED_BATCHES)


def test_questions_that_cannot_be_answered_fail_alone(client: Any, pool: str, responder: Responder) -> None:
    senders = [f"sender-{uuid.uuid4().hex}" for _ in UNANSWERABLE_QUESTIONS]
    batches = (
        changed(BATCH, reply_to=sender, questions=(question,))
        for sender, question in zip(senders, UNANSWERABLE_QUESTIONS, strict=True)
    )
    address = push(client, pool, *batches, changed(BATCH, reply_to=f"empty-{pool}", questions=()))

    responder.run()

    assert answers(client, address) == REPLY.answers
    failures = [answers(client, sender)[0] for sender in senders[1:]]
    assert all(isinstance(failure, Failure) for failure in failures)


def test_a_reply_that_redis_refuses_loses_no_other_batch(client: Any, pool: str, responder: Responder) -> None:
    # given a batch whose reply would go to a key that is not a list
    client.set(f"text-{pool}", "x")
    address = push(client, pool, changed(BATCH, reply_to=f"text-{pool}"))

    responder.run()

    assert answers(client, address) == REPLY.answers
    assert client.get(f"text-{pool}") == b"x"


def test_a_key_of_another_type_is_deleted_by_the_replica(client: Any, pool: str, responder: Responder) -> None:
    client.set(redis_keys.batches(pool), "not a list")
    with pytest.raises(redis_py.ResponseError):
        responder.run()

    address = push(client, pool)
    responder.run()

    assert answers(client, address) == REPLY.answers


async def test_a_gateway_drops_damaged_replies_and_keeps_its_connection(client: Any, gateway: Batcher) -> None:
    connection, before = gateway._channel._out, dropped("reply")

    client.rpush(gateway._channel.address, *DAMAGED_REPLIES)

    assert await ask(gateway, "hello") == "olleh"
    async with asyncio.timeout(TIMEOUT_S):
        while dropped("reply") - before < len(DAMAGED_REPLIES):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    assert gateway._channel._out is connection


async def test_a_reply_with_too_many_answers_fails_its_requests_at_once(redis: Server, client: Any, pool: str) -> None:
    async with batcher(pool, redis.url) as gateway:
        waiting = asyncio.create_task(ask(gateway, "hello"))
        async with asyncio.timeout(TIMEOUT_S):
            while not (batch := client.lpop(redis_keys.batches(pool))):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        batch_id = msgspec.msgpack.decode(batch, type=Batch).id

        client.rpush(gateway._channel.address, changed(REPLY, id=batch_id, answers=REPLY.answers * 2))

        with pytest.raises(Unavailable, match="damaged answer"):
            await waiting


async def test_predictions_go_on_if_the_presence_of_replicas_cannot_be_read(
    client: Any, pool: str, gateway: Batcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = gateway._channel._out
    for key in (redis_keys.replicas(pool), redis_keys.departed(pool)):
        client.delete(key)
    # names that are not text
    client.zadd(redis_keys.replicas(pool), {b"\xff\xfe": time.time(), b"": time.time(), b"x" * 10_000: time.time()})
    client.sadd(redis_keys.departed(pool), b"\xff\xfe", b"")
    await asyncio.sleep(1.5)
    assert await ask(gateway, "hello") == "olleh"

    # and keys of another type
    for key in (redis_keys.replicas(pool), redis_keys.departed(pool), redis_keys.gateways(pool)):
        client.delete(key)
        client.set(key, "text")
    await asyncio.sleep(1.5)

    assert await ask(gateway, "hello") == "olleh"
    assert gateway._channel._out is connection


async def test_a_gateway_whose_list_of_replies_has_another_type_works_again_when_it_is_gone(
    client: Any, gateway: Batcher
) -> None:
    # given another type, put there between two replies
    address, deadline = gateway._channel.address, time.monotonic() + TIMEOUT_S
    while not client.set(address, "text", nx=True):
        assert time.monotonic() < deadline
    await asyncio.sleep(1.5)

    client.delete(address)

    assert await ask(gateway, "hello") == "olleh"


def test_damaged_reports_are_left_out(
    redis: Server, client: Any, pool: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demand, "POOL_NAMES", ("inference",))
    before = dropped("report")
    replica, gateway = ReplicaReport(job=False, busy=0.5, draining=False), GatewayReport(waiting=1, per_minute=60.0)
    for presence_key, good in ((redis_keys.replicas(pool), replica), (redis_keys.gateways(pool), gateway)):
        client.hset(redis_keys.reports(presence_key), "good", msgspec.json.encode(good))
        client.hset(redis_keys.reports(presence_key), b"\xff\xfe", msgspec.json.encode(good))
        for number, report in enumerate(DAMAGED_REPORTS):
            client.hset(redis_keys.reports(presence_key), f"damaged-{number}", report)

    reports_of_pools = RedisReports(BrokerSettings.model_validate({"url": redis.url}))
    read = reports_of_pools.read()

    assert read == {pool: PoolReports({"good": replica, r"\xff\xfe": replica}, {"good": gateway, r"\xff\xfe": gateway})}
    assert dropped("report") - before == 2 * len(DAMAGED_REPORTS)
    pools = Pools(database)
    pools.ensure()
    assert Demand(pools, reports_of_pools).measure()["inference"].ready == 0


async def test_a_very_large_presence_set_is_read_in_part(client: Any, pool: str, gateway: Batcher) -> None:
    names = {f"junk-{number}": time.time() + 60 for number in range(20_000)}
    client.zadd(redis_keys.replicas(pool), names)
    await asyncio.sleep(1.5)

    assert len(gateway._channel.replicas) == redis_keys.MOST_MEMBERS
    assert await ask(gateway, "hello") == "olleh"


def test_reports_in_a_key_of_another_type_are_unknown(redis: Server, client: Any, pool: str) -> None:
    client.set(redis_keys.reports(redis_keys.replicas(pool)), "text")

    assert RedisReports(BrokerSettings.model_validate({"url": redis.url})).read() is None


def test_a_replica_beats_on_if_it_cannot_tell_whether_it_is_cordoned(
    client: Any, pool: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presence, "BEAT_S", 0.02)
    client.set(redis_keys.cordoned(pool), "text")

    replica = Presence(pool, "replica", client, Busy(), Busy())
    replica.start()

    for _ in range(2):
        client.delete(redis_keys.replicas(pool))
        deadline = time.monotonic() + TIMEOUT_S
        while not client.exists(redis_keys.replicas(pool)):
            assert time.monotonic() < deadline
            time.sleep(0.01)
    replica.leave(b"wakeup")
