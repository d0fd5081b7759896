"""A gateway and replicas that share a folder of Unix sockets, in this process and without Redis."""

import asyncio
import threading
import time
from collections.abc import Callable
from pathlib import Path

from contract.inference import Artifact, Batch, EncodedImage, Question, Reply, Scores, Target
from messaging.answering import BatchAnswers, BatchHandler
from messaging.busy import Busy
from messaging.local_replicas import LocalReplicas
from messaging.local_server import LocalServer
from messaging.spin import Spin

CAT, DOG = (Target(name, 1, Artifact("jobs", "none", 1, "0" * 64)) for name in ("cat", "dog"))


class Machine:
    """A folder of sockets, with replicas that compute when they may; without `spin`, no wait spins."""

    def __init__(self, folder: Path, gateway_spin: Spin | None = None, replica_spin: Spin | None = None) -> None:
        self.folder = folder
        self._replica_spin = replica_spin
        self.may_compute = threading.Event()
        self.may_compute.set()
        self.computed_by: list[str] = []
        self.servers: dict[str, LocalServer] = {}
        self.replies: dict[str, Reply] = {}
        self.lost: list[str] = []
        self.gateway = LocalReplicas(folder, self._replied, self.lost.append, gateway_spin)
        self._sent = 0

    async def start(self, *names: str, at_once: int = 1) -> None:
        for name in names:

            def respond(_: Target, questions: tuple[Question, ...], name: str = name) -> BatchAnswers:
                self.computed_by.append(name)
                self.may_compute.wait(20)
                return BatchAnswers([Scores(((question.request_id, 1.0),)) for question in questions], 1.0, "", 8)

            handler = BatchHandler(respond, at_once)
            self.servers[name] = LocalServer("pool", self.folder, name, handler, Busy(), self._replica_spin)
            self.servers[name].start()
        await self.gateway.update(list(self.servers))

    def send(self, target: Target = CAT, file: bytes = b"", deadline: float = 60.0) -> str | None:
        """Send a batch; return its id, None if no replica had room."""
        self._sent += 1
        name = f"batch-{self._sent}"
        question = Question(EncodedImage(file), time.time() + deadline, f"answer to {name}")
        return name if self.gateway.send(Batch(name, "", target, (question,))) else None

    async def reply_to(self, batch_id: str | None) -> Reply:
        assert batch_id is not None
        await until(lambda: batch_id in self.replies)
        return self.replies[batch_id]

    async def answered(self, batch_id: str | None) -> None:
        assert (await self.reply_to(batch_id)).answers == (Scores(((f"answer to {batch_id}", 1.0),)),)

    async def stop(self) -> None:
        self.may_compute.set()
        self.gateway.close()
        for server in self.servers.values():
            server.leave()
        for server in self.servers.values():
            await asyncio.to_thread(server.join)

    def _replied(self, reply: Reply) -> None:
        self.replies[reply.id] = reply


async def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.002)
