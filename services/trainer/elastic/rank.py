"""One of the processes that train together, started by torch's agent in every round."""

import os
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import psutil
import torch
import torch.distributed as dist
from torch.distributed import PrefixStore, TCPStore  # type: ignore[attr-defined]

from contract.errors import JobFailed, TidepoolError
from messaging.settings import TelemetrySettings
from messaging.telemetry import start_telemetry
from services.trainer.checkpoint import Checkpoint
from services.trainer.elastic.addresses import Own
from services.trainer.elastic.channel import Address, Began, Caller, Failed, Progressed, Saved
from services.trainer.elastic.group import BEAT_S, FIRST_STEP_S, Group
from services.trainer.elastic.images import open_images
from services.trainer.elastic.passes import SharedPasses
from services.trainer.elastic.plan import Plan
from services.trainer.train import train

ORPHAN_S = 1.0


@dataclass(frozen=True)
class Place:
    """Where a process finds the store of the training and its data; the leader's has `attempt` and `plan`, too."""

    host: str
    port: int
    own: Own
    folder: Path
    attempt: Address | None = None
    plan: Path | None = None


def run_rank(place: Place, parent: int, name: str) -> None:
    """Train until the end of the training, or of the round; `name` is that of the round, the same for all ranks."""
    threading.Thread(target=_end_with, args=[parent], daemon=True).start()
    start_telemetry("trainer", TelemetrySettings(metrics_port=0))
    rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    caller = Caller(place.attempt) if place.attempt else None
    if size > 1:
        _connect(place, name, rank, size)
    try:
        _train(place, rank, size, caller)
    except TidepoolError as error:
        if caller is None:
            raise
        caller.ask(Failed(error))
    except torch.OutOfMemoryError:
        if caller is None:
            raise
        caller.ask(Failed(JobFailed("the GPU ran out of memory; use a smaller batch_size")))
    if size > 1:
        dist.barrier()  # so that no process finds the others gone before it has ended its last epoch
        dist.destroy_process_group()


def _train(place: Place, rank: int, size: int, caller: Caller | None) -> None:
    group = Group(rank, size)
    plan = Plan.from_bytes(group.share(place.plan.read_bytes() if place.plan else None))
    group.timeout_s = plan.terms.timeout_s
    stop_early, started = False, time.monotonic()
    data = open_images(place.folder, plan.terms)
    if caller is not None:
        caller.ask(Began(size))

    def on_step(progress: float, message: str) -> None:
        nonlocal stop_early
        if caller is not None:
            stop_early = caller.ask(Progressed(progress, message)).stop_early

    def on_epoch(checkpoint: Checkpoint) -> None:
        nonlocal started, stop_early
        rate = len(data.train) / (time.monotonic() - started)
        reply = Pending(caller, checkpoint, size, rate)
        group.wait_for_first(reply.arrived)
        group.wait_for_first(reply.pause_is_over)
        stop_early = stop_early or reply.stop_early
        started = time.monotonic()

    train(
        plan.terms.recipe,
        data,
        on_step=on_step,
        on_epoch=on_epoch,
        network=plan.network,
        start=plan.last,
        stop_early=lambda: stop_early,
        passes=SharedPasses(group, plan.terms),
    )


class Pending:
    """The attempt's answer to an epoch, awaited in a thread; after it, a pause in which a new round may begin."""

    def __init__(self, caller: Caller | None, checkpoint: Checkpoint, size: int, rate: float) -> None:
        self.stop_early = False
        self._until: float | None = None
        if caller is not None:
            message = Saved(checkpoint.to_bytes(), len(checkpoint.epochs), size, rate)
            self._thread = threading.Thread(target=self._ask, args=[caller, message], daemon=True)
            self._thread.start()

    def arrived(self) -> bool:
        """Wait at most BEAT_S for the answer."""
        self._thread.join(BEAT_S)
        return self._until is not None

    def pause_is_over(self) -> bool:
        """Wait at most BEAT_S for the end of the pause."""
        left = (self._until or 0.0) - time.monotonic()
        time.sleep(min(max(left, 0.0), BEAT_S))
        return left <= BEAT_S

    def _ask(self, caller: Caller, message: Saved) -> None:
        reply = caller.ask(message)
        self.stop_early = reply.stop_early
        self._until = time.monotonic() + reply.pause_s


def _connect(place: Place, name: str, rank: int, size: int) -> None:
    """Join the process group of the round."""
    limit = timedelta(seconds=FIRST_STEP_S)
    os.environ["GLOO_SOCKET_IFNAME"] = os.environ["NCCL_SOCKET_IFNAME"] = place.own.interface
    store = PrefixStore(name, TCPStore(place.host, place.port, is_master=False, timeout=limit))
    store.set(f"gpu-{rank}", _gpu())
    gpus = [store.get(f"gpu-{number}") for number in range(size)]
    own = all(gpus) and len(set(gpus)) == size
    dist.init_process_group(
        "cpu:gloo,cuda:nccl" if own else "gloo", store=store, rank=rank, world_size=size, timeout=limit
    )


def _gpu() -> str:
    return str(torch.cuda.get_device_properties(0).uuid) if torch.cuda.is_available() else ""


def _end_with(parent: int) -> None:
    """End this process when that of its attempt has ended, which is not its parent but the fork server's client."""
    with suppress(psutil.NoSuchProcess):
        attempt = psutil.Process(parent)
        while attempt.is_running() and attempt.status() != psutil.STATUS_ZOMBIE:
            time.sleep(ORPHAN_S)
    os._exit(1)
