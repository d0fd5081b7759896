"""One run: clients work while the nemesis acts by a seeded schedule, then everything heals and stock is taken."""

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
from tests.faults.history import History, Operation, Outcome, Recorder, load
from tests.faults.inventory import take_stock
from tests.faults.nemesis import Fault, age_leases, faults, held_by
from tests.faults.observer import Observer
from tests.faults.start import cluster

CLIENTS = 4
PAUSE_S = (0.2, 1.5)  # between two faults


@dataclass(frozen=True)
class Plan:
    """What a run is; with `ageing`, a lease's minute passes in a moment, now and then and at the end."""

    dialect: str
    seconds: float
    seed: int
    ageing: bool = True
    hold: float = 0.5  # seconds a fault lasts, times what it says
    settle_s: float = 90.0


def run(plan: Plan, path: Path) -> History:
    """The history of a run, which is also in the file; raises TimeoutError when the cluster does not start."""
    recorder = Recorder(path)
    with cluster(plan.dialect) as target:
        _begin(target, recorder)
        observer, stop = Observer(target, recorder), threading.Event()
        clients = [Client(target, recorder, f"client-{n}", str(plan.seed), stop) for n in range(CLIENTS)]
        try:
            _torment(target, recorder, plan)
        finally:
            target.heal()
            stop.set()
            for client in clients:
                client.thread.join()
            _settle(target, observer, plan)
            observer.stop()
        take_stock(target, recorder)
    return load(path)


def _begin(target: Cluster, recorder: Recorder) -> None:
    """Wait until the gateway answers, and publish the data set that all training is on."""
    until = time.monotonic() + 60
    calls = Calls(target, recorder, "first")
    while calls.submit("first", preprocess(target, "quick")).outcome != Outcome.OK:
        if time.monotonic() > until:
            raise TimeoutError(target.logs())
        time.sleep(0.3)
    calls.close()
    while not target.stores.of(DEFAULT_PROJECT).datasets.list(1).items:
        if time.monotonic() > until:
            raise TimeoutError(target.logs())
        time.sleep(0.1)


def _torment(target: Cluster, recorder: Recorder, plan: Plan) -> None:
    chance = random.Random(plan.seed)
    until = time.monotonic() + plan.seconds
    deck: list[Fault] = []
    while time.monotonic() < until:
        if not deck:
            deck = faults(target, plan.ageing)
            deck += [Fault("leases aged", lambda: age_leases(target))] * 2 if plan.ageing else []
            deck += [fault for fault in deck if fault.kills] * 2  # what recovery is measured by
            chance.shuffle(deck)
        fault = deck.pop()
        victims = held_by(target, fault.kills) if fault.kills else {}
        began = recorder.now()
        try:
            fault.inflict()
        except (TidepoolError, redis.RedisError) as error:
            recorder.note("nemesis", Operation.FAULT, fault.name, {"error": type(error).__name__}, Outcome.REFUSED)
        else:
            recorder.note("nemesis", Operation.FAULT, fault.name, {"jobs": victims}, began=began)
        time.sleep(fault.holds_s * plan.hold)
        with suppress(redis.RedisError):
            fault.end()
        time.sleep(chance.uniform(*PAUSE_S))


def _settle(target: Cluster, observer: Observer, plan: Plan) -> None:
    """Wait until every job has ended and the gateway answers; what has not by then is for the checker to see."""
    until = time.monotonic() + plan.settle_s
    while time.monotonic() < until and not _quiet(target, observer):
        if plan.ageing:
            age_leases(target, living=False)
        time.sleep(2)


def _quiet(target: Cluster, observer: Observer) -> bool:
    try:
        answers = httpx.get(f"{target.url}/livez", trust_env=False, timeout=3).is_success
    except httpx.HTTPError:
        return False
    return answers and observer.live() == 0
