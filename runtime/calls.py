"""Calls: an online request to a pool and its one answer, over Redis, without a row."""

import asyncio
import math
import time
import uuid
from collections.abc import Callable
from typing import Protocol

import msgpack
import redis
import redis.asyncio
import structlog
from prometheus_client import Counter

from contract.errors import BrokerUnavailable, DeadlineExceeded, TidepoolError, error_of
from runtime.broker import Broker, mapped_errors
from runtime.settings import BrokerSettings

log = structlog.get_logger()

KEEP_ANSWER_S = 30

CALLS = Counter("tidepool_calls_total", "Calls that a pool answered.", ["pool", "outcome"])

Answer = Callable[[bytes], bytes]


class Caller(Protocol):
    """The asking side, for an event loop; `RedisCaller` is the real one, `MemoryCaller` its twin."""

    async def call(self, pool: str, body: bytes, within_s: float, request_id: str) -> bytes:
        """Ask a pool; raises BrokerUnavailable, DeadlineExceeded after `within_s` seconds, or what the pool raised."""

    async def ping(self) -> None:
        """Raise BrokerUnavailable unless the way to the pools is open."""

    async def close(self) -> None:
        """Let go of the connections."""


class RedisCaller:
    """Calls over Redis: the envelope in a key that expires, a bell by Celery, the answer in a list."""

    def __init__(self, settings: BrokerSettings, broker: Broker) -> None:
        self._broker = broker
        self._redis = redis.asyncio.Redis.from_url(
            settings.url.get_secret_value(),
            socket_connect_timeout=3,
            socket_timeout=None,  # each call has its own deadline
            max_connections=1024,
        )

    async def call(self, pool: str, body: bytes, within_s: float, request_id: str) -> bytes:
        call_id, deadline = uuid.uuid4().hex, time.time() + within_s
        envelope = msgpack.packb({"request_id": request_id, "body": body})
        try:
            async with asyncio.timeout(within_s):
                with mapped_errors():
                    await self._redis.set(_ask(call_id), envelope, ex=math.ceil(within_s))
                await asyncio.to_thread(self._broker.call, pool, call_id, deadline)
                with mapped_errors():
                    answered = await self._redis.blpop([_answer(call_id)], timeout=within_s)
        except TimeoutError:
            answered = None
        if answered is None:
            raise DeadlineExceeded(f"no {pool} replica answered within {within_s:g} s; try again")
        reply = msgpack.unpackb(answered[1])
        if reply["code"]:
            raise error_of(reply["code"], reply["message"])
        return bytes(reply["body"])

    async def ping(self) -> None:
        try:
            async with asyncio.timeout(3):
                with mapped_errors():
                    await self._redis.ping()
        except TimeoutError as error:
            raise BrokerUnavailable("the broker does not answer; try again soon") from error

    async def close(self) -> None:
        await self._redis.aclose()


class Responder:
    """The answering side; a call that nobody waits for any more is not computed."""

    def __init__(self, pool: str, client: "redis.Redis", answer: Answer) -> None:
        self._pool = pool
        self._redis = client
        self._answer = answer

    def respond(self, call_id: str, deadline: float) -> None:
        envelope = self._redis.getdel(_ask(call_id))
        if envelope is None or time.time() > deadline:
            CALLS.labels(self._pool, "expired").inc()
            return
        asked = msgpack.unpackb(envelope)
        with structlog.contextvars.bound_contextvars(request_id=asked["request_id"]):
            reply = self._reply(asked["body"])
        CALLS.labels(self._pool, reply["code"] or "ok").inc()
        with self._redis.pipeline(transaction=True) as pipeline:
            pipeline.rpush(_answer(call_id), msgpack.packb(reply))
            pipeline.expire(_answer(call_id), KEEP_ANSWER_S)
            pipeline.execute()

    def _reply(self, body: bytes) -> dict[str, object]:
        try:
            return {"code": "", "message": "", "body": self._answer(body)}
        except TidepoolError as error:
            log.warning("call failed", code=error.code, exc_info=True)
            return {"code": error.code, "message": error.message, "body": b""}
        except Exception:
            log.exception("call failed", code=TidepoolError.code)
            return {"code": TidepoolError.code, "message": "an internal error", "body": b""}


def _ask(call_id: str) -> str:
    return f"tidepool:call:{call_id}"


def _answer(call_id: str) -> str:
    return f"tidepool:answer:{call_id}"
