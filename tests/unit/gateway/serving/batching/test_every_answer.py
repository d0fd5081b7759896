"""Requests, replies, losses and disconnects in any order: each request gets its own answer or an error."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.errors import Overloaded, Unavailable
from contract.inference import Batch, Reply, Scores
from tests.unit.gateway.serving.batching.pool import Pool, settled, texts

STEPS = st.one_of(
    st.tuples(st.just("ask"), st.integers(1, 5)),
    st.tuples(st.just("reply"), st.integers(0, 20)),
    st.tuples(st.just("lose"), st.just(0)),
    st.tuples(st.just("leave"), st.integers(0, 20)),
    st.tuples(st.just("replicas"), st.integers(0, 3)),
)
BATCH, WAITING = 3, 6


@dataclass
class History:
    """A pool, and the requests sent to it."""

    pool: Pool = field(default_factory=lambda: Pool(batch=BATCH, waiting=WAITING, flights=1))
    asked: list["asyncio.Task[str]"] = field(default_factory=list)
    left: set[int] = field(default_factory=set)
    losses: int = 0

    async def step(self, kind: str, number: int) -> None:
        sent = self.pool.channel.sent
        match kind:
            case "ask":
                self.asked += [self.pool.ask(str(len(self.asked) + index)) for index in range(number)]
            case "reply" if sent:
                self.reply(sent[number % len(sent)])
            case "lose":
                self.losses += 1
                self.pool.batcher.lost()
            case "leave" if self.asked:
                self.left.add(number % len(self.asked))
                self.asked[number % len(self.asked)].cancel()
            case "replicas":
                self.pool.channel.replicas = frozenset(map(str, range(number)))
        await settled()

    def reply(self, batch: Batch) -> None:
        """Send batches again that may be lost."""
        answers = tuple(Scores(((text, 1.0),)) for text in texts(batch))
        self.pool.batcher.replied(Reply(batch.id, answers, 1.0, "CPUExecutionProvider", 64))

    async def end(self) -> None:
        """Answer everything."""
        replied = 0
        while replied < len(self.pool.channel.sent):
            self.reply(self.pool.channel.sent[replied])
            replied += 1
            await settled()


async def run(steps: list[tuple[str, int]]) -> History:
    history = History()
    for kind, number in steps:
        await history.step(kind, number)
    await history.end()
    return history


@given(st.lists(STEPS, max_size=40))
def test_no_answer_is_lost_or_mixed_up(steps: list[tuple[str, int]]) -> None:
    async def check() -> None:
        history = await run(steps)

        for index, task in enumerate(history.asked):
            assert task.done()
            if task.cancelled():
                assert index in history.left
            elif (error := task.exception()) is not None:
                assert (type(error) is Unavailable and history.losses > 1) or type(error) is Overloaded
            else:
                assert task.result() == str(index)
        carried = Counter(text for batch in history.pool.channel.sent for text in texts(batch))
        assert max(carried.values(), default=0) <= 2
        assert all(len(batch.questions) <= BATCH for batch in history.pool.channel.sent)

    asyncio.run(check())


@pytest.mark.parametrize("count", [WAITING, WAITING + 1])
def test_only_requests_beyond_the_limit_are_refused(count: int) -> None:
    async def check() -> None:
        history = await run([("ask", count)])

        refused = [task for task in history.asked if task.exception() is not None]
        assert len(refused) == count - WAITING

    asyncio.run(check())
