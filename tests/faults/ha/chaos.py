"""One run: clients and a probe work while machines fail, and then the final state is recorded."""

import random
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import httpx
import redis
from sqlalchemy.exc import SQLAlchemyError

from contract.access import DEFAULT_PROJECT
from contract.errors import TidepoolError
from tests.faults.clients import Calls, Client, preprocess
from tests.faults.cluster import Cluster
from tests.faults.final_state import record_final_state
from tests.faults.ha.nemesis import faults, held_on
from tests.faults.ha.world import World, world
from tests.faults.history import History, Operation, Outcome, Recorder, load
from tests.faults.observer import Observer

CLIENTS = 3
PROBE_S = 1.0
PAUSE_S = 4.0  # between two faults
START_S, SETTLE_S = 300.0, 300.0


@dataclass(frozen=True)
class Plan:
    """The parameters of a run, which goes on until each fault has happened once.

    `only` is a part of the names of the faults, for a part of them.
    """

    seconds: float
    seed: int
    only: str = ""


def run(plan: Plan, path: Path) -> History:
    """Run and return the history, also written to `path`; raises TimeoutError if the deployment does not start."""
    recorder = Recorder(path)
    with world() as target:
        _begin(target.cluster, recorder)
        target.wait_until_redundant()
        observer, stop = Observer(target.cluster, recorder), threading.Event()
        clients = [Client(target.cluster, recorder, f"client-{n}", str(plan.seed), stop) for n in range(CLIENTS)]
        probe = threading.Thread(target=_probe, args=[target.cluster, recorder, stop])
        probe.start()
        try:
            _inject_faults(target, recorder, plan)
        finally:
            stop.set()
            for thread in (probe, *(client.thread for client in clients)):
                thread.join()
            _settle(target.cluster, observer)
            observer.stop()
        record_final_state(target.cluster, recorder)
    return load(path)


def _begin(target: Cluster, recorder: Recorder) -> None:
    """Wait for a gateway, and publish the dataset for all training jobs."""
    deadline = time.monotonic() + START_S
    calls = Calls(target, recorder, "first")
    while calls.submit("first", preprocess(target, "quick")).outcome != Outcome.OK:
        if time.monotonic() > deadline:
            raise TimeoutError(target.logs())
        time.sleep(0.5)
    calls.close()
    while not target.stores.of(DEFAULT_PROJECT).datasets.list(1).items:
        if time.monotonic() > deadline:
            raise TimeoutError(target.logs())
        time.sleep(0.2)


def _probe(target: Cluster, recorder: Recorder, stop: threading.Event) -> None:
    """Submit a short job every second, again after a failure, to measure when the deployment accepts work again."""
    calls, number = Calls(target, recorder, "probe", timeout=5), 0
    while not stop.wait(PROBE_S):
        event = calls.submit(f"probe-{number}", preprocess(target, "quick"))
        number += event.outcome == Outcome.OK
    calls.close()


def _inject_faults(target: World, recorder: Recorder, plan: Plan) -> None:
    rng, deadline = random.Random(plan.seed), time.monotonic() + plan.seconds
    deck = [fault for fault in faults(target, rng) if plan.only in fault.name]
    left = len(deck)
    while left > 0 or time.monotonic() < deadline:
        deck = deck or [fault for fault in faults(target, rng) if plan.only in fault.name]
        fault, left = deck.pop(), left - 1
        print(f"{recorder.now():7.1f} s  {fault.name}", flush=True)
        held, began = _held(target), recorder.now()
        try:
            machine = fault.inflict()
        except (TidepoolError, redis.RedisError) as error:
            recorder.note("nemesis", Operation.FAULT, fault.name, {"error": type(error).__name__}, Outcome.REFUSED)
            continue
        jobs = held.get(machine.name, {}) if machine else {}
        recorder.note("nemesis", Operation.FAULT, fault.name, {"jobs": jobs}, began=began)
        time.sleep(fault.holds_s)
        fault.end()
        time.sleep(PAUSE_S)


def _held(target: World) -> dict[str, dict[str, int]]:
    try:
        return held_on(target)
    except (TidepoolError, SQLAlchemyError):
        return {}


def _settle(target: Cluster, observer: Observer) -> None:
    """Wait until all jobs have ended and a gateway answers; the checker reports the rest."""
    deadline = time.monotonic() + SETTLE_S
    while time.monotonic() < deadline:
        try:
            if observer.live() == 0 and httpx.get(f"{target.url}/livez", trust_env=False, timeout=3).is_success:
                return
        except (httpx.HTTPError, TidepoolError):
            pass
        time.sleep(2)
