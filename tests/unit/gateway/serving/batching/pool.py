"""A batcher over a pool whose replies the test triggers."""

import asyncio
from typing import Any

from contract.errors import BrokerUnavailable
from contract.inference import Artifact, Batch, EncodedImage, Failure, Question, Scores, Target
from messaging.answering import BatchAnswers
from messaging.in_memory import MemoryChannel
from services.gateway.serving.batching.batcher import Batcher
from services.gateway.serving.batching.lane import Bounds

ARTIFACT = Artifact("jobs", "model.onnx", 1, "0" * 64)
TARGET = Target("pet-cnn", 1, ARTIFACT)
PATIENCE_S = 60.0


def echo(_: Target, questions: tuple[Question, ...], max_batch: int = 64) -> BatchAnswers:
    """Return each file as the best label, or a failure for the file `bad`."""
    return BatchAnswers([_echoed(question) for question in questions], 1.5, "CPUExecutionProvider", max_batch)


def _echoed(question: Question) -> Scores | Failure:
    text = text_of(question)
    return Failure("bad_image", "the file is damaged") if text == "bad" else Scores(((text, 1.0),))


def text_of(question: Question) -> str:
    assert isinstance(question.payload, EncodedImage)
    return question.payload.file.decode()


class Pool:
    """A batcher whose batches are held; set `channel.refuses` for an outage."""

    def __init__(self, replicas: int = 1, **bounds: int) -> None:
        self.channel = FragileChannel(echo)
        self.channel.held = True
        self.channel.replicas = frozenset(map(str, range(replicas)))
        self.batcher = Batcher(self.channel, Bounds(**bounds))

    def ask(self, text: str, target: Target = TARGET, within_s: float = PATIENCE_S) -> "asyncio.Task[str]":
        """Ask a question whose answer is its own text."""
        return asyncio.create_task(self._ask(text, target, within_s))

    async def sent(self) -> list[list[str]]:
        """The contents of every batch so far, once the event loop is idle."""
        await settled()
        return [texts(batch) for batch in self.channel.sent]

    async def reply(self, number: int) -> None:
        """Answer the batch with this index, in the order of sending."""
        await settled()
        await self.channel.answer(self.channel.sent[number])
        await settled()

    async def _ask(self, text: str, target: Target, within_s: float) -> str:
        answer: Any = (await self.batcher.ask(target, EncodedImage(text.encode()), within_s)).answer
        return str(answer.best[0][0])


class FragileChannel(MemoryChannel):
    """An in-memory channel with outages."""

    refuses = False

    def send(self, batch: Batch) -> None:
        if self.refuses:
            raise BrokerUnavailable("the broker does not answer")
        super().send(batch)

    async def ping(self) -> None:
        if self.refuses:
            raise BrokerUnavailable("the broker does not answer")


def texts(batch: Batch) -> list[str]:
    return [text_of(question) for question in batch.questions]


async def settled() -> None:
    """Run the event loop until it is idle."""
    for _ in range(10):
        await asyncio.sleep(0)
