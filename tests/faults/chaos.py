"""One run: clients work while the nemesis injects faults by a seeded schedule; then the final state is recorded."""

import random
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import redis

from contract.access import DEFAULT_PROJECT
from contract.errors import TidepoolError
from tests.faults.clients import Calls, Client, preprocess
from tests.faults.cluster import Cluster
from tests.faults.final_state import record_final_state
from tests.faults.history import History, Operation, Outcome, Recorder, load
from tests.faults.nemesis import Fault, age_leases, faults, held_by
from tests.faults.observer import Observer
from tests.faults.start import cluster

CLIENTS = 4
PAUSE_S = (0.2, 1.5)  # between two faults


@dataclass(frozen=True)
class Plan:
    """The parameters of a run; with `ageing`, leases are expired at once, at random times and at the end."""

    dialect: str
    seconds: float
    seed: int
    ageing: bool = True
    hold: float = 0.5  # factor for the duration of faults
    settle_s: float = 90.0


def run(plan: Plan, path: Path) -> History:
    """Run and return the history, also written to `path`; raises TimeoutError if the cluster does not start."""
    recorder = Recorder(path)
    with cluster(plan.dialect) as target:
        _begin(target, recorder)
        observer, stop = Observer(target, recorder), threading.Event()
        clients = [Client(target, recorder, f"client-{n}", str(plan.seed), stop) for n in range(CLIENTS)]
        try:
            _inject_faults(target, recorder, plan)
        finally:
            target.heal()
            stop.set()
            for client in clients:
                client.thread.join()
            _settle(target, observer, plan)
            observer.stop()
        record_final_state(target, recorder)
    return load(path)


def _begin(target: Cluster, recorder: Recorder) -> None:
    """Wait for the gateway, and publish the dataset for all training jobs."""
    deadline = time.monotonic() + 60
    calls = Calls(target, recorder, "first")
    while calls.submit("first", preprocess(target, "quick")).outcome != Outcome.OK:
        if time.monotonic() > deadline:
            raise TimeoutError(target.logs())
        time.sleep(0.3)
    calls.close()
    while not target.stores.of(DEFAULT_PROJECT).datasets.list(1).items:
        if time.monotonic() > deadline:
            raise TimeoutError(target.logs())
        time.sleep(0.1)


def _inject_faults(target: Cluster, recorder: Recorder, plan: Plan) -> None:
    rng = random.Random(plan.seed)
    deadline = time.monotonic() + plan.seconds
    deck: list[Fault] = []
    while time.monotonic() < deadline:
        if not deck:
            deck = faults(target, plan.ageing)
            deck += [Fault("leases aged", lambda: age_leases(target))] * 2 if plan.ageing else []
            deck += [fault for fault in deck if fault.kills] * 2  # for more measurements of recovery
            rng.shuffle(deck)
        fault = deck.pop()
        held = held_by(target, fault.kills) if fault.kills else {}
        began = recorder.now()
        try:
            fault.inflict()
        except (TidepoolError, redis.RedisError) as error:
            recorder.note("nemesis", Operation.FAULT, fault.name, {"error": type(error).__name__}, Outcome.REFUSED)
        else:
            recorder.note("nemesis", Operation.FAULT, fault.name, {"jobs": held}, began=began)
        time.sleep(fault.holds_s * plan.hold)
        with suppress(redis.RedisError):
            fault.end()
        time.sleep(rng.uniform(*PAUSE_S))


def _settle(target: Cluster, observer: Observer, plan: Plan) -> None:
    """Wait until all jobs have ended and the gateway answers, at most `settle_s`; the checker reports the rest."""
    deadline = time.monotonic() + plan.settle_s
    while time.monotonic() < deadline and not _idle(target, observer):
        if plan.ageing:
            age_leases(target, living=False)
        time.sleep(2)


def _idle(target: Cluster, observer: Observer) -> bool:
    try:
        answers = httpx.get(f"{target.url}/livez", trust_env=False, timeout=3).is_success
    except httpx.HTTPError:
        return False
    return answers and observer.live() == 0
