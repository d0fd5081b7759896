"""Samples the predictions of aliases for the review queue, after they were answered; see docs/adr/0054.

A prediction pays for a few comparisons. What was chosen waits in a bounded queue, from which one task takes it: a
replica makes a copy without metadata, and one thread stores it. If anything fails, the sample is dropped and counted.
"""

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context
from functools import cached_property
from typing import TypeVar, TypeVarTuple

import structlog
from msgspec.structs import replace

from contract.base import Version
from contract.errors import Conflict, TidepoolError
from contract.inference import EncodedImage, Scores, Target
from contract.reviews import MOST_GUESSES
from contract.sampling import SampleSource
from services.gateway.serving.batching.batcher import InferenceClient
from services.gateway.serving.sampling.admission import Admission, Sample, SampledAlias
from services.gateway.serving.sampling.metrics import DROPPED, SAMPLED
from services.gateway.serving.sampling.observation import SamplingPlan
from services.gateway.serving.sampling.pacing import Pace

MOST_WAITING = 64  # samples
MOST_BYTES = 32 << 20  # of the images that wait
MOST_ALIASES = 1024  # with a pace; the least recently created one goes first
MOST_RECENT = 4096  # images that were taken lately, by their hash
UPDATE_S = 1.0
SYNC_S = 5.0  # from a prediction to when its count is in the database
MEASURE_S = 60.0  # the bytes of an alias's copies; this gateway adds its own meanwhile
COPY_WITHIN_S = 10.0
PAUSE_S = 0.25  # after each sample, which takes some milliseconds of CPU time; a burst must not slow predictions down

log = structlog.get_logger()

Arguments = TypeVarTuple("Arguments")
Result = TypeVar("Result")


class _State:
    """One alias in this gateway."""

    def __init__(self, plan: SamplingPlan, clock: Callable[[], float]) -> None:
        self.plan = plan
        self.pace = Pace(plan.since.timestamp(), clock)
        self.stored_bytes = 0
        self.updated = self.measured = 0.0
        self.timer: asyncio.TimerHandle | None = None  # of the next sync, while there may be something to send
        self.syncing = False
        self.known = False  # what is left of the day's budget; without it, each restart would begin with a burst


class Sampler:
    """Chooses predictions of all aliases that are sampled; used in the event loop only."""

    def __init__(
        self, inference: InferenceClient, admission: Admission, clock: Callable[[], float] = time.time
    ) -> None:
        self._inference = inference
        self._admission = admission
        self._clock = clock
        self._states: OrderedDict[SampledAlias, _State] = OrderedDict()
        self._recent: OrderedDict[int, tuple[SampleSource, Version | None]] = OrderedDict()
        self._waiting: deque[Sample | _State] = deque()  # a state waits to be synced
        self._waiting_bytes = 0
        self._task: asyncio.Task[None] | None = None

    def offer(
        self, plan: SamplingPlan, target: Target, file: bytes, prediction: str, scores: Scores, other: str | None = None
    ) -> None:
        """Take or leave an image that was answered; `other` is the class that the shadow chose.

        Raises nothing: the prediction must not fail.
        """
        try:
            self._offer(plan, target, file, prediction, scores, other)
        except Exception:
            log.exception("sampling failed")

    def _offer(
        self, plan: SamplingPlan, target: Target, file: bytes, prediction: str, scores: Scores, other: str | None
    ) -> None:
        if scores.margin is None:  # of a replica of an older release
            return
        state = self._states.get(plan.alias) or self._open(plan)
        if state.plan is not plan:
            state.plan = plan
            state.pace.use(plan.settings, plan.has_shadow)
        now = self._clock()
        if now - state.updated >= UPDATE_S:
            state.updated = now
            state.pace.update()
        label = scores.best[0][0]
        room = state.known and len(self._waiting) < MOST_WAITING
        source = state.pace.choose(label, scores.margin, other, room)
        if source is not None:
            self._take(state, Sample(plan.alias, source, target, file, prediction, scores), label)
        if state.timer is None:
            self._sync_later(state)

    async def idle(self) -> None:
        """Wait until nothing waits."""
        while self._task is not None:
            await asyncio.shield(self._task)

    def _take(self, state: _State, sample: Sample, label: str) -> None:
        key = _key(sample)
        known, taken = self._recent.get(key), (sample.source, sample.target.version)
        if known is not None and (sample.source != "random" or known == taken):
            DROPPED.labels("duplicate").inc()
        elif self._waiting_bytes + len(sample.file) > MOST_BYTES:
            DROPPED.labels("busy").inc()
        else:
            self._recent[key] = taken
            if len(self._recent) > MOST_RECENT:
                self._recent.popitem(last=False)
            self._waiting_bytes += len(sample.file)
            state.pace.taken(sample.source, label)
            self._enqueue(sample)

    def _open(self, plan: SamplingPlan) -> _State:
        if len(self._states) >= MOST_ALIASES:
            self._states.popitem(last=False)
        state = self._states[plan.alias] = _State(plan, self._clock)
        state.pace.use(plan.settings, plan.has_shadow)
        self._sync_soon(state)  # what other gateways have counted today
        return state

    def _sync_later(self, state: _State) -> None:
        state.timer = asyncio.get_running_loop().call_later(SYNC_S, self._sync_rest, state, context=Context())

    def _sync_rest(self, state: _State) -> None:
        state.timer = None
        if any(state.pace.unsent.values()):
            self._sync_soon(state)

    def _sync_soon(self, state: _State) -> None:
        if state.syncing:
            self._sync_later(state)
        else:
            state.syncing = True
            self._enqueue(state)

    def _enqueue(self, item: "Sample | _State") -> None:
        self._waiting.append(item)
        if self._task is None:
            # in no request's context: its id and its trace would be those of all later samples
            self._task = asyncio.get_running_loop().create_task(self._work(), context=Context())

    async def _work(self) -> None:
        try:
            while self._waiting:
                item = self._waiting.popleft()
                try:
                    await (self._admit(item) if isinstance(item, Sample) else self._sync(item))
                except Exception:  # a bug must not stop the sampling of other images
                    log.exception("sampling failed")
                if isinstance(item, Sample):
                    await asyncio.sleep(PAUSE_S)
        finally:
            self._task = None

    async def _sync(self, state: _State) -> None:
        sent = state.pace.unsent
        try:
            measure = self._clock() - state.measured >= MEASURE_S
            counted = await self._in_thread(self._admission.sync, state.plan.alias, sent, measure)
        except Conflict:  # the alias was deleted
            return
        finally:
            state.syncing = False
        if counted is None:
            if state.timer is None:
                self._sync_later(state)
        else:
            state.known = True
            if counted.stored_bytes is not None:
                state.stored_bytes, state.measured = counted.stored_bytes, self._clock()
            state.pace.synced(sent, counted)

    async def _admit(self, sample: Sample) -> None:
        self._waiting_bytes -= len(sample.file)
        label, state = sample.scores.best[0][0], self._states.get(sample.alias)
        if state is None:
            return
        reason = "copy"
        try:
            image = EncodedImage(sample.file, MOST_GUESSES, copy=True)
            apart = replace(sample.target, batched=False)  # a lane of its own: no other request waits for the copy
            answer = (await self._inference.ask(apart, image, COPY_WITHIN_S)).answer
            if isinstance(answer, Scores) and answer.copy:
                settings, budgets = state.plan.settings, state.pace.budgets(sample.source)
                copied = sample._replace(scores=answer)
                reason = await self._in_thread(self._admission.admit, copied, settings, budgets, state.stored_bytes)
                state.stored_bytes += len(answer.copy) if reason == "" else 0
        except TidepoolError as error:
            log.info("no copy of a sample", model=sample.target.model, version=sample.target.version, code=error.code)
        finally:
            state.pace.ended(sample.source, label, reason)
        if not reason:
            SAMPLED.labels(sample.source).inc()
            return
        DROPPED.labels(reason).inc()
        if reason != "duplicate":
            self._recent.pop(_key(sample), None)

    @cached_property
    def _thread(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(1, "sampling")

    async def _in_thread(self, function: Callable[[*Arguments], Result], *arguments: *Arguments) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, *arguments)


def _key(sample: Sample) -> int:
    """Return the hash of an image of a model, each of which has a queue of its own."""
    return hash((sample.alias.project, sample.alias.model, sample.file))
