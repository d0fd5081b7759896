"""The leader of a training on several replicas: the attempt that holds the job's lease."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import structlog

from contract.errors import Postponed, WorkerLost
from contract.kinds.train import Replicas
from services.trainer.checkpoint import Checkpoint
from services.trainer.elastic.addresses import own_address
from services.trainer.elastic.agent import NO_ROUND, Agent, Gate, end, host, preload, rendezvous
from services.trainer.elastic.channel import Began, Failed, Message, Progressed, Reply, Saved, Server
from services.trainer.elastic.plan import Plan
from services.trainer.elastic.rank import Place
from services.trainer.settings import ElasticSettings
from worker.task import Task

TERMS = "tidepool/terms"
SILENT_S = 60.0  # of rank 0, which then hangs; its first start imports torch
PAUSE_S = 5.0  # for a new round to begin after an epoch, before the old one goes on
ASK_AGAIN_S = 60.0  # the lease of a seat whose replica was lost may last as long
PATIENCE_S = 60.0  # with fewer replicas than a round needs, before this one turns to other work
ROUNDS = 20  # without an epoch in between, after which the attempt has failed

log = structlog.get_logger()


@dataclass(frozen=True)
class Spread:
    """How an epoch was computed: by how many replicas, and how fast."""

    replicas: int
    images_per_second: float


class Lead:
    """Leads until the training has ended; everything that is reported passes through the task, under its fence."""

    def __init__(
        self,
        task: Task,
        replicas: Replicas,
        plan: Plan,
        on_step: Callable[[float, str], None],
        on_epoch: Callable[[Checkpoint, Spread], None],
        show: Callable[[Gate], None] | None = None,
        contended: Callable[[], bool] = lambda: False,
    ) -> None:
        """`show` writes the gate; the default writes it to the store.

        `contended` returns whether this replica has other work.
        """
        self._task = task
        self._replicas = replicas
        self._plan = plan
        self._on_step = on_step
        self._on_epoch = on_epoch
        self._settings = ElasticSettings()
        self._path: Path = task.folder / "plan.pt"
        self._lock = threading.Lock()  # of the task, which is not for several threads
        self._error: BaseException | None = None
        self._size, self._rate, self._fraction = 0, 0.0, 0.0
        self._epochs = len(plan.last.epochs) if plan.last else 0
        self._rounds = 0
        self._gate = Gate()
        self._asked, self._ask_again = frozenset[str](), 0.0
        self._write_gate = show or self._write_to_store
        self._contended = contended
        self._paused_until = float("inf")
        self._waits_since: float | None = None  # for as many replicas as a round needs

    def run(self) -> Checkpoint:
        """Train, and return the last checkpoint; raises what ends the attempt."""
        preload()
        own = own_address(self._settings.network)
        self._store = host(own.address)
        self._store.set(TERMS, self._plan.terms.model_dump_json())
        self._server = Server(self.answer)
        place = Place(own.address, self._store.port, own, self._task.folder, self._server.address, self._path)
        try:
            generation = 0
            while not self._run(place, generation):
                generation += 1
        finally:
            self._server.close()
            self._task.withdraw_seats()
        last = self._plan.last
        if last is None:
            raise WorkerLost("the training ended without an epoch")
        return last

    def _run(self, place: Place, generation: int) -> bool:
        """Train in a rendezvous of its own; return False if it was closed or timed out, and another must follow."""
        with self._lock:  # `check` is only called in a round
            if generation:
                self._show_waiting()
            self._task.check_stop()
        self._give_way()
        run_id = self._task.offer_seats(f"{place.host}:{place.port}", generation, self._replicas.max - 1)
        self._show(Gate(run_id))
        try:
            handler = rendezvous(self._store, run_id, self._replicas, place.own.address, leads=True)
            try:
                result = Agent(place, handler, self.check, self._form).run()
            finally:
                end(handler)
        except NO_ROUND as error:
            log.info("the rendezvous failed, beginning another", run_id=run_id, exc_info=error)
            result = None
        self._raise_error()
        return result is not None and not result.is_failed()

    def _give_way(self) -> None:
        """Raise Postponed if replicas have been too few for a while, and this one has other work."""
        since = self._waits_since
        if since is not None and time.monotonic() - since > PATIENCE_S and self._contended():
            raise Postponed(f"fewer than {self._replicas.min} replicas of the trainer are free")

    def _form(self, forming: bool) -> None:
        """A round begins to form, or has: while it does, seats may join."""
        if forming:
            self._waits_since = self._waits_since or time.monotonic()
            self._prepare_round()
        else:
            self._waits_since = None
            self._rounds += 1
        self._show(replace(self._gate, open=forming))
        self._server.heard()

    def _prepare_round(self) -> None:
        if self._rounds >= ROUNDS:
            raise WorkerLost(f"{ROUNDS} rounds of the training ended before an epoch was over")
        with self._lock:  # an epoch of the last round may just be saved
            # Each round without an epoch doubles the patience with replicas that may only be slow.
            terms = self._plan.terms
            patient = terms.model_copy(update={"timeout_s": terms.timeout_s * 2 ** min(self._rounds, 5)})
            self._write(replace(self._plan, terms=patient))
            if not self._size:
                self._show_waiting()

    def _show_waiting(self) -> None:
        if self._replicas.min > 1:
            self._on_step(self._fraction, f"waiting for {self._replicas.min} replicas of the trainer")

    def check(self) -> bool:
        """Raise what must end the attempt; return False if rank 0 hangs."""
        self._raise_error()
        if self._lock.acquire(blocking=False):
            try:
                self._task.check_stop()
            finally:
                self._lock.release()
        if time.monotonic() > self._paused_until and self._gate.open:
            self._paused_until = float("inf")
            self._show(replace(self._gate, open=False))
        return self._server.silence_s < SILENT_S

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error

    def answer(self, message: Message) -> Reply:
        """Answer rank 0, in a thread; what this raises ends the attempt."""
        try:
            with self._lock:
                return self._handle(message)
        except BaseException as error:
            self._error = error
            raise

    def _handle(self, message: Message) -> Reply:
        match message:
            case Began(size):
                self._note_size(size)
            case Progressed(fraction, text):
                self._fraction = fraction
                self._on_step(fraction, f"{text} · {self._speed()}")
            case Saved():
                return self._save(message)
            case Failed(error):
                raise error
        return Reply(self._task.stop_early)

    def _save(self, saved: Saved) -> Reply:
        """Save an epoch, and let seats join that are ready."""
        if saved.epochs > self._epochs:  # otherwise a round that was ended has sent the same just before
            self._on_epoch(Checkpoint.from_bytes(saved.checkpoint), Spread(saved.size, saved.images_per_second))
            self._plan, self._epochs = replace(self._plan, checkpoint=saved.checkpoint), saved.epochs
            self._write(self._plan)
        self._rounds, self._rate = 0, saved.images_per_second
        if not self._expects(self._task.ready_seats(), saved.size):
            return Reply(self._task.stop_early)
        self._paused_until = time.monotonic() + PAUSE_S
        self._show(replace(self._gate, open=True))
        return Reply(self._task.stop_early, PAUSE_S)

    def _speed(self) -> str:
        replicas = "1 replica" if self._size == 1 else f"{self._size} replicas"
        return f"{replicas}, {self._rate:,.0f} images a second" if self._rate else replicas

    def _expects(self, ready: frozenset[str], size: int) -> bool:
        """Return whether seats are ready that are not in the round; those that did not come are asked once a minute."""
        now = time.monotonic()
        if size >= min(len(ready) + 1, self._replicas.max) or (ready <= self._asked and now < self._ask_again):
            return False
        self._asked, self._ask_again = ready, now + ASK_AGAIN_S
        return True

    def _note_size(self, size: int) -> None:
        """Log that replicas joined or left, once for each change."""
        before, self._size = self._size, size
        change = abs(size - before)
        if not before or not change:
            return
        who = "a replica" if change == 1 else f"{change} replicas"
        remaining = f"{size} now train together" if size > 1 else "1 now trains alone"
        self._task.log(f"{who} {'joined' if size > before else 'left'}: {remaining}")

    def _write(self, plan: Plan) -> None:
        written = self._path.with_suffix(".part")
        written.write_bytes(plan.to_bytes())
        written.rename(self._path)

    def _show(self, gate: Gate) -> None:
        self._gate = gate
        self._write_gate(gate)

    def _write_to_store(self, gate: Gate) -> None:
        gate.write(self._store)
