"""The in-memory twins of the way to a pool, which a function of the test's answers, and of what is told of it."""

import asyncio
from collections.abc import Collection, Mapping

from contract.inference import Batch, Failure, Reply
from contract.pools import PoolName
from contract.reports import PoolReports
from messaging.channel import Listener
from messaging.responder import Respond


class MemoryChannel:
    """Batches answered in a thread of this process, with the promises of RedisChannel.

    `held` keeps them unanswered, as if no replica lived; `sent`, `withdrawn` and `announced`, how much waited each
    time, are for tests to look at.
    """

    listener: Listener

    def __init__(self, respond: Respond) -> None:
        self.announced: list[int] = []
        self.address = "memory"
        self.replicas = frozenset({"memory"})
        self.respond = respond
        self.held = False
        self.sent: list[Batch] = []
        self.withdrawn: list[Batch] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        return None

    def send(self, batch: Batch) -> None:
        self.sent.append(batch)
        if not self.held:
            task = asyncio.get_running_loop().create_task(self.answer(batch))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def answer(self, batch: Batch) -> None:
        """Answer a batch, also one that was held."""
        try:
            done = await asyncio.to_thread(self.respond, batch.target, batch.questions)
        except Exception as error:  # noqa: BLE001  as a replica answers whatever happens
            failure = Failure(getattr(error, "code", "internal"), getattr(error, "message", "an internal error"))
            self.listener.replied(Reply(batch.id, (failure,) * len(batch.questions), 0.0, "", 0))
        else:
            self.listener.replied(
                Reply(batch.id, tuple(done.answers), done.inference_ms, done.provider, done.max_batch)
            )

    def withdraw(self, batch: Batch) -> None:
        self.withdrawn.append(batch)

    def announce(self) -> None:
        self.announced.append(self.listener.report().waiting)

    async def ping(self) -> None:
        return None

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()


class MemoryReports:
    """What a test lets replicas and gateways say; None is an outage."""

    def __init__(self) -> None:
        self.said: Mapping[str, PoolReports] | None = {}

    def read(self) -> Mapping[str, PoolReports] | None:
        return self.said


class MemoryCordon:
    """What was said last, for tests to look at."""

    def __init__(self) -> None:
        self.said: Mapping[PoolName, Collection[str]] = {}

    def say(self, workers: Mapping[PoolName, Collection[str]]) -> None:
        self.said = workers
