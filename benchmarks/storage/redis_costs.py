"""What jobs and replicas cost Redis: the CPU time of a wake-up message and of a heartbeat."""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import redis
from pydantic import SecretStr

from contract.jobs import JobKind
from messaging import redis_keys
from messaging.broker import Broker, celery_app
from messaging.busy import Busy
from messaging.presence import Presence
from messaging.settings import BrokerSettings
from tests.support.servers import redis_server

TIMES = 2000
BATCH_BYTES, REPLY_BYTES = 3_500, 500
OTHERS = 500  # replicas that are present, too


def redis_costs() -> dict[str, float]:
    """Return milliseconds: the CPU time of Redis by operation, and `relay_ms`, the time to send a wake-up message."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, redis_server(Path(folder)) as server:
        process, client = psutil.Process(server.process.pid), redis.Redis.from_url(server.url)
        broker = Broker(celery_app(BrokerSettings(url=SecretStr(server.url))))
        present = [Presence("trainer", f"replica-{n}", client, Busy(), Busy()) for n in range(OTHERS)]
        started = time.perf_counter()
        wake_ms = _cpu_ms(process, lambda _: broker.wake(JobKind("train"), "a-job"))
        relay_ms = 1000 * (time.perf_counter() - started) / TIMES
        beat_ms = _cpu_ms(process, lambda number: present[number % OTHERS].beat())
        keys = (redis_keys.replicas("trainer"), redis_keys.reports(redis_keys.replicas("trainer")))
        read_ms = _cpu_ms(process, lambda _: client.eval(redis_keys.READ_REPORTS, len(keys), *keys))
        batch_ms = _cpu_ms(process, lambda _: _pass_a_batch(client))
    return {
        "batch_ms": batch_ms,
        "relay_ms": round(relay_ms, 3),
        "wake_ms": wake_ms,
        "beat_ms": beat_ms,
        "report_ms": round(read_ms / OTHERS, 5),
    }


def _pass_a_batch(client: Any) -> None:
    """Send a batch of one small image to a replica and its reply back, with the commands of both."""
    batches, wakeups, replies = redis_keys.batches("x"), redis_keys.wakeups("x"), redis_keys.replies("gateway")
    client.eval(redis_keys.PUSH, 2, batches, wakeups, b"wake", bytes(BATCH_BYTES))
    client.blpop(batches, 1)
    client.delete(wakeups)
    with client.pipeline(transaction=False) as pipeline:
        pipeline.rpush(replies, bytes(REPLY_BYTES)).expire(replies, redis_keys.BATCH_TTL_S).execute()
    client.blpop(replies, 1)


def _cpu_ms(process: psutil.Process, action: Callable[[int], object]) -> float:
    before = sum(process.cpu_times()[:2])
    for number in range(TIMES):
        action(number)
    return round(1000 * (sum(process.cpu_times()[:2]) - before) / TIMES, 4)
