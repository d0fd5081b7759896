"""The supervisor of several gateways, with shells in their place."""

import itertools
import queue
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from services.gateway import processes
from services.gateway.processes import Member, members_of, supervise

LONG = ["sleep", "60"]


def until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.02)


class Supervised:
    """The supervisor in a thread."""

    def __init__(self, *members: Member) -> None:
        self.signals: queue.SimpleQueue[int] = queue.SimpleQueue()
        self.status: list[int] = []
        self._thread = threading.Thread(target=lambda: self.status.append(supervise(members, self.signals)))
        self._thread.start()
        until(lambda: bool(self.status) or all(member.process for member in members))

    def stop(self) -> int:
        self.signals.put(signal.SIGTERM)
        self._thread.join(20)
        return self.status[0]


def test_a_process_that_dies_is_restarted_alone() -> None:
    first, second = Member(LONG, {}), Member(LONG, {})
    supervised = Supervised(first, second)
    process, other = first.process, second.process
    assert process is not None

    process.kill()

    until(lambda: first.process not in {process, None})
    assert second.process is other
    assert supervised.stop() == 0
    assert [member.process.poll() for member in (first, second) if member.process] == [-signal.SIGTERM] * 2


def test_a_process_that_cannot_start_ends_all() -> None:
    other = Member(LONG, {})
    supervised = Supervised(other, Member(["sh", "-c", "exit 7"], {}))

    until(lambda: supervised.status == [7])

    assert other.process is not None
    assert other.process.poll() == -signal.SIGTERM


def test_restarts_wait_longer_and_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(processes.time, "monotonic", lambda: now)
    member = Member(["true"], {})
    starts: list[float] = []
    for tick in range(400):
        now = tick / 10
        before = member.process
        member.check()
        if member.process is not None and member.process is not before:
            starts.append(now)
            member.process.wait()

    waits = [after - start for start, after in itertools.pairwise(starts)]
    assert waits[:4] == pytest.approx([0.6, 1.1, 2.1, 4.1], abs=0.15)


def test_a_process_that_does_not_stop_is_killed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(processes, "GRACE_S", 0.2)
    ready = tmp_path / "ready"
    ignores = "trap '' TERM; touch $READY; while :; do sleep 0.1; done"
    member = Member(["sh", "-c", ignores], {"READY": str(ready), "PATH": "/bin:/usr/bin"})
    supervised = Supervised(member)
    until(ready.exists)

    assert supervised.stop() == 1

    assert member.process is not None
    assert member.process.poll() == -signal.SIGKILL


def test_each_process_has_ports_of_its_own() -> None:
    members = members_of(3, {"TIDEPOOL_METRICS_PORT": 9100, "TIDEPOOL_PROBE_PORT": 0}, {"TIDEPOOL_GATEWAYS": "3"})

    environments = [member.environment for member in members]
    assert [environment["TIDEPOOL_METRICS_PORT"] for environment in environments] == ["9100", "9101", "9102"]
    assert {environment["TIDEPOOL_PROBE_PORT"] for environment in environments} == {"0"}
    assert {environment["TIDEPOOL_GATEWAYS"] for environment in environments} == {"3"}
