"""Publishes a replica's presence and utilization to Redis."""

import os
import socket
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import msgspec
import redis
import structlog

from contract import __version__
from contract.reports import ReplicaReport
from messaging import redis_keys
from messaging.busy import Busy
from messaging.rate import Rate

log = structlog.get_logger()

BEAT_S = 1.0


class Reporter(ABC):
    """Calls `beat` every second from a daemon thread, until it has departed; a broker that is away only delays it."""

    _departed = False

    def start(self) -> None:
        threading.Thread(target=self._run, name="presence", daemon=True).start()

    @abstractmethod
    def beat(self) -> None:
        """Send a report; raises redis.RedisError."""

    def _run(self) -> None:
        while not self._departed:
            try:
                self.beat()
            except redis.RedisError:
                log.debug("no heartbeat sent, the broker does not answer")
            except Exception:  # without heartbeats the process would count as lost
                log.exception("no heartbeat sent")
            time.sleep(BEAT_S)


class Presence(Reporter):
    """Sends the heartbeats of a replica.

    The reported utilization is that of the GPU if `gpu_busy` returns one, else the share of time spent on `online` and
    `jobs`. `on_cordon` is called at every heartbeat with whether this replica is cordoned.
    """

    def __init__(
        self,
        pool: str,
        name: str,
        client: "redis.Redis",
        online: Busy,
        jobs: Busy,
        on_cordon: Callable[[bool], None] = lambda cordoned: None,
        gpu_busy: Callable[[], float | None] = lambda: None,
    ) -> None:
        self._pool = pool
        self._keys = (redis_keys.replicas(pool), redis_keys.reports(redis_keys.replicas(pool)))
        self._name = name
        self._client: Any = client
        self._online = online
        self._jobs = jobs
        self._rate = Rate()
        self._draining = False
        self._on_cordon = on_cordon
        self._gpu_busy = gpu_busy
        self._cordon_names = (f"{socket.gethostname()}:{os.getpid()}", socket.gethostname())
        self._lock = threading.Lock()

    def drain(self) -> None:
        """Report from the next heartbeat on that this replica is draining."""
        self._draining = True

    def beat(self) -> None:
        """Send a heartbeat, unless the replica has left; raises redis.RedisError."""
        with self._lock:
            if not self._departed:
                self._beat()

    def leave(self, wakeup: bytes) -> None:
        """Remove this replica and record that it has answered every batch it took, so that none is sent again."""
        pool_keys = (redis_keys.departed(self._pool), redis_keys.batches(self._pool), redis_keys.wakeups(self._pool))
        with self._lock:
            self._departed = True
            try:
                self._client.eval(redis_keys.LEAVE, 5, *self._keys, *pool_keys, self._name, wakeup)
            except redis.RedisError:
                log.info("departure not recorded, the broker does not answer")

    def _beat(self) -> None:
        share = min(1.0, self._rate.of(self._online.total() + self._jobs.total()))
        gpu_share = self._gpu_busy()
        busy = share if gpu_share is None else gpu_share
        report = ReplicaReport(self._jobs.working, busy, self._draining, __version__)
        self._client.eval(redis_keys.RECORD, len(self._keys), *self._keys, self._name, msgspec.json.encode(report))
        self._on_cordon(any(self._client.smismember(redis_keys.cordoned(self._pool), self._cordon_names)))
