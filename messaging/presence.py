"""The only place where a replica says that it lives, and how much it has to do."""

import os
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import msgspec
import redis
import structlog

from contract.reports import ReplicaReport
from messaging import redis_keys
from messaging.busy import Busy
from messaging.rate import Rate

log = structlog.get_logger()

BEAT_S = 1.0


class Presence:
    """Beats every second from a thread, for as long as the process lives.

    `online` and `jobs` are what it is busy with, unless `gpu_busy` says how busy its GPU is; `rest` hears at every beat
    whether this replica is one too many.
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
        self._worker = (f"{socket.gethostname()}:{os.getpid()}", socket.gethostname())
        self._gone = False
        self._lock = threading.Lock()

    def start(self) -> None:
        threading.Thread(target=self._for_ever, name="presence", daemon=True).start()

    def drain(self) -> None:
        """Say from the next beat on that this replica goes when it has done what it is at."""
        self._draining = True

    def beat(self) -> None:
        """Raises redis.RedisError."""
        with self._lock:
            if not self._gone:
                self._beat()

    def leave(self, wakeup: bytes) -> None:
        """Say as the last thing that this replica has answered all it took, so that nobody need send that again."""
        of_pool = (redis_keys.left(self._pool), redis_keys.batches(self._pool), redis_keys.wakeups(self._pool))
        with self._lock:
            self._gone = True
            try:
                self._client.eval(redis_keys.LEAVE, 5, *self._keys, *of_pool, self._name, wakeup)
            except redis.RedisError:
                log.info("left without a word, the broker does not answer")

    def _beat(self) -> None:
        share = min(1.0, self._rate.of(self._online.total() + self._jobs.total()))
        of_gpu = self._gpu_busy()
        busy = share if of_gpu is None else of_gpu
        report = ReplicaReport(job=self._jobs.working, busy=busy, draining=self._draining)
        self._client.eval(redis_keys.BEAT, len(self._keys), *self._keys, self._name, msgspec.json.encode(report))
        self._on_cordon(any(self._client.smismember(redis_keys.cordoned(self._pool), self._worker)))

    def _for_ever(self) -> None:
        while True:
            try:
                self.beat()
            except redis.RedisError:
                log.debug("no beat, the broker does not answer")
            time.sleep(BEAT_S)
