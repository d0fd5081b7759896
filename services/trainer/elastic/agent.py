"""torch's elastic agent, with a rendezvous that survives what happens to replicas; see docs/adr/0048."""

import json
import multiprocessing
import os
import signal
import socket
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch.distributed as dist
from torch.distributed import TCPStore  # type: ignore[attr-defined]
from torch.distributed.elastic.agent.server.api import RunResult, WorkerGroup, WorkerSpec, WorkerState
from torch.distributed.elastic.agent.server.local_elastic_agent import LocalElasticAgent
from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs
from torch.distributed.elastic.rendezvous.api import RendezvousError
from torch.distributed.elastic.rendezvous.c10d_rendezvous_backend import C10dRendezvousBackend
from torch.distributed.elastic.rendezvous.dynamic_rendezvous import DynamicRendezvousHandler, RendezvousTimeout

from contract.kinds.train import Replicas
from services.trainer.elastic.rank import Place, run_rank

JOIN = timedelta(seconds=10)  # a rendezvous that takes longer begins anew, so that a cancel is noticed
LAST_CALL = timedelta(seconds=1.5)  # for others to join, once the least number of replicas is there
KEEP_ALIVE_S, LOST_AFTER = 1, 3  # a replica whose agent misses three beats is lost to the rendezvous
KILL_S = 3
NO_ROUND = (RendezvousError, dist.DistError)
"""What is raised when a round cannot be formed, because the rendezvous is closed or a replica was lost meanwhile."""
MONITOR_S = 0.1
RESTARTS = 1_000_000  # the leader bounds restarts by the epochs between them
GATE, ROUND = "tidepool/gate", "tidepool/round"


@dataclass(frozen=True)
class Gate:
    """What the leader says to the seats: the id of the rendezvous, and whether they may join it now."""

    run_id: str = ""
    open: bool = False

    def write(self, store: TCPStore) -> None:
        store.set(GATE, json.dumps(vars(self)))

    @classmethod
    def read(cls, store: TCPStore) -> "Gate":
        """Raises RuntimeError if the leader is not reached."""
        return cls(**json.loads(store.get(GATE)))


def preload() -> None:
    """Let the fork server of the rounds' processes import what they need, once; call it before the first rendezvous."""
    # torch 2.13 writes the address of a store to share in the first round only, and those that join later wait for it.
    os.environ["TORCH_DISABLE_SHARE_RDZV_TCP_STORE"] = "1"
    multiprocessing.set_forkserver_preload([run_rank.__module__])


class Agent(LocalElasticAgent):
    """Starts one process in each round; the leader's has rank 0.

    `check` is called ten times a second and may raise to end the training, or return False if the process hangs.
    `rendezvous` is called with True when a round begins to form, and with False when it has.
    """

    def __init__(
        self,
        place: Place,
        handler: DynamicRendezvousHandler,
        check: Callable[[], bool],
        rendezvous: Callable[[bool], None] = lambda forming: None,
    ) -> None:
        self._place = place
        self._check = check
        self._forming = rendezvous
        spec = WorkerSpec(
            role="trainer",
            local_world_size=1,
            rdzv_handler=handler,
            entrypoint=run_rank,
            args=(),
            max_restarts=RESTARTS if place.plan else 0,
            monitor_interval=MONITOR_S,
        )
        logs = DefaultLogsSpecs(log_dir=str(place.folder / "torchelastic"))
        super().__init__(spec, logs, start_method="forkserver", exit_barrier_timeout=KILL_S, shutdown_timeout=KILL_S)

    def _rendezvous(self, worker_group: WorkerGroup) -> None:
        self._forming(True)
        super()._rendezvous(worker_group)
        self._forming(False)
        # Agents count restarts differently, so a round has a name of its own in the store that all agents share.
        store: Any = worker_group.store
        if worker_group.group_rank == 0:
            store.set(ROUND, uuid.uuid4().hex)
        worker_group.spec.args = (self._place, os.getpid(), store.get(ROUND).decode())

    def _monitor_workers(self, worker_group: WorkerGroup) -> RunResult:
        if not self._check():
            return RunResult(state=WorkerState.UNHEALTHY)
        result: RunResult = super()._monitor_workers(worker_group)
        return result

    def _stop_workers(self, worker_group: WorkerGroup) -> None:
        # A process has nothing to clean up, and a frozen one would not hear SIGTERM.
        self._shutdown(signal.SIGKILL, KILL_S)

    def _shutdown(self, death_sig: signal.Signals = signal.SIGKILL, timeout: int = KILL_S) -> None:
        super()._shutdown(death_sig, timeout)


def rendezvous(store: TCPStore, run_id: str, replicas: Replicas, address: str, leads: bool) -> DynamicRendezvousHandler:
    """Return the handler of a rendezvous over c10d.

    Ranks are in the order of the addresses, of which only rank 0's is used. Those of seats sort after the leader's.
    """
    handler: DynamicRendezvousHandler = DynamicRendezvousHandler.from_backend(
        run_id,
        store,
        C10dRendezvousBackend(store, run_id),
        replicas.min,
        replicas.max,
        local_addr=address if leads else f"~{address}",
        timeout=RendezvousTimeout(join=JOIN, last_call=LAST_CALL),
        keep_alive_interval=KEEP_ALIVE_S,
        keep_alive_max_attempt=LOST_AFTER,
    )
    return handler


def host(address: str) -> TCPStore:
    """Host a store that listens on an address, and on no other as torch would by itself."""
    listener = socket.create_server((address, 0), family=socket.AF_INET6 if ":" in address else socket.AF_INET)
    port = listener.getsockname()[1]
    return TCPStore(
        address, port, is_master=True, wait_for_workers=False, timeout=JOIN, master_listen_fd=listener.detach()
    )


def connect(address: str, port: int) -> TCPStore:
    """Connect to a leader's store; raises RuntimeError if that fails."""
    return TCPStore(address, port, is_master=False, wait_for_workers=False, timeout=JOIN)


def end(handler: DynamicRendezvousHandler) -> None:
    """Leave a rendezvous without closing it, which would be for good and for all."""
    handler._stop_heartbeats()
