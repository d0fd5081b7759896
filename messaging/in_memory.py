"""In-memory implementations of the channel, the reports and the cordon, for tests."""

import asyncio
import time
from collections.abc import Collection, Mapping

from contract.errors import BrokerUnavailable
from contract.inference import Batch, Failure, Reply
from contract.pools import PoolName
from contract.reports import BrokerFacts, PoolReports, ProcessReport
from messaging.answering import Respond
from messaging.channel import Listener


class MemoryChannel:
    """Answers batches with `respond` in a thread of this process; behaves as RedisChannel.

    While `held` is true, batches stay unanswered, as without replicas. Tests read `sent`, `withdrawn` and `announced`,
    the numbers of waiting requests in the reports.
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
        """Answer a batch, even if `held`."""
        try:
            response = await asyncio.to_thread(self.respond, batch.target, batch.questions)
        except Exception as error:  # noqa: BLE001  like a replica, answer every batch
            failure = Failure(getattr(error, "code", "internal"), getattr(error, "message", "an internal error"))
            self.listener.replied(Reply(batch.id, (failure,) * len(batch.questions), 0.0, "", 0))
        else:
            self.listener.replied(
                Reply(batch.id, tuple(response.answers), response.inference_ms, response.provider, response.max_batch)
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
    """Reports set by a test; None is an outage."""

    def __init__(self) -> None:
        self.reported: Mapping[str, PoolReports] | None = {}
        self.processes: Mapping[str, Mapping[str, ProcessReport]] | None = {}
        self.facts: BrokerFacts | None = BrokerFacts(
            "gateway", time.time(), 0.001, "7.4.0", 1 << 20, 512 << 20, "noeviction"
        )

    def read(self) -> Mapping[str, PoolReports] | None:
        return self.reported

    def read_processes(self) -> Mapping[str, Mapping[str, ProcessReport]] | None:
        return self.processes

    def broker_facts(self) -> BrokerFacts:
        if self.facts is None:
            raise BrokerUnavailable("the broker does not answer; try again soon")
        return self.facts


class MemoryCordon:
    """Keeps the workers published last, for tests to read."""

    def __init__(self) -> None:
        self.published: Mapping[PoolName, Collection[str]] = {}

    def publish(self, workers: Mapping[PoolName, Collection[str]]) -> None:
        self.published = workers
