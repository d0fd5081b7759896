"""Which waits spin, and for how long, on a clock of the test; and that gateways and replicas do."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from messaging.spin import OTHERS_S, REST_S, Spin
from tests.support.local_replicas import Machine, until

pytestmark = pytest.mark.anyio

MOST_S = 0.002
TURN_S = 0.00001  # on an idle core


class Core:
    """A core on which each turn of other processes takes `turn_s`."""

    def __init__(self) -> None:
        self.now = 100.0
        self.turn_s = TURN_S
        self.spin = self.with_cores(2)

    def with_cores(self, cores: int, most_s: float = MOST_S) -> Spin:
        self.spin = Spin(most_s, cores, lambda: self.now, self._give_way)
        return self.spin

    def wait(self, seconds: float, busy: int = 0) -> float:
        """Wait for something that happens after `seconds`; return for how long the wait spun."""
        began = self.now
        self.spin.begin()
        while self.now < began + seconds and self.spin.again(busy):
            pass
        spun = self.now - began
        self.now = max(self.now, began + seconds)
        self.spin.end()
        return spun

    def _give_way(self) -> None:
        self.now += self.turn_s


@pytest.fixture
def core() -> Core:
    return Core()


def test_a_wait_spins_after_a_short_one_only(core: Core) -> None:
    assert core.wait(0.001) == 0
    assert core.wait(0.001) == pytest.approx(0.001, abs=2 * TURN_S)
    assert core.wait(0.5) == pytest.approx(MOST_S, abs=2 * TURN_S)
    assert core.wait(0.001) == 0
    assert core.wait(0.001) > 0


def test_a_wait_does_not_spin_while_others_need_all_cores(core: Core) -> None:
    core.wait(0.001)

    assert core.wait(0.001, busy=2) == 0
    assert core.wait(0.001, busy=1) > 0


def test_a_core_that_another_process_needs_is_left_to_it_for_a_while(core: Core) -> None:
    core.wait(0.001)
    core.turn_s = 2 * OTHERS_S

    assert core.wait(0.001) == pytest.approx(core.turn_s)

    core.turn_s = TURN_S
    left_at = core.now
    while core.now < left_at + REST_S - 2 * core.turn_s - 0.002:
        assert core.wait(0.001) == 0
    core.now = left_at + REST_S
    core.wait(0.001)
    assert core.wait(0.001) > 0


@pytest.mark.parametrize(("cores", "most_s", "busy"), [(2, 0.0, 0), (1, MOST_S, 1)])
def test_without_time_or_a_core_to_spare_no_wait_spins(core: Core, cores: int, most_s: float, busy: int) -> None:
    core.with_cores(cores, most_s)

    assert [core.wait(0.0001, busy) for _ in range(5)] == [0] * 5


class Counted(Spin):
    """Spins in all waits but the first, since its clock stands still, `most` times altogether, and counts."""

    def __init__(self, most: int, cores: int = 2) -> None:
        super().__init__(1.0, cores, clock=lambda: 0.0, give_way=self._count)
        self.count = self.ends = 0
        self._most = most

    def again(self, busy: int) -> bool:
        return self.count < self._most and super().again(busy)

    def end(self) -> None:
        self.ends += 1
        super().end()

    def _count(self) -> None:
        self.count += 1


@pytest.fixture
async def spinning(tmp_path: Path) -> AsyncIterator[Callable[..., Machine]]:
    machines: list[Machine] = []

    def make(**spins: Spin) -> Machine:
        machines.append(Machine(tmp_path, **spins))
        return machines[-1]

    yield make
    for machine in machines:
        await machine.stop()


async def test_a_gateway_looks_again_before_it_sleeps(spinning: Callable[..., Machine]) -> None:
    spin = Counted(most=50)
    machine = spinning(gateway_spin=spin)
    await machine.start("a")
    assert spin.count == 0
    await machine.answered(machine.send())
    machine.may_compute.clear()

    held = machine.send()

    await until(lambda: spin.count == 50)
    machine.may_compute.set()
    await machine.answered(held)
    await machine.answered(machine.send())
    assert machine.computed_by == ["a"] * 3  # it still wakes up after it has slept


async def test_batches_that_a_gateway_sends_together_end_one_wait(spinning: Callable[..., Machine]) -> None:
    spin = Counted(most=0)
    machine = spinning(gateway_spin=spin)
    await machine.start("a", "b")
    await machine.answered(machine.send())
    ends = spin.ends

    sent = [machine.send(), machine.send()]

    assert spin.ends == ends + 1  # or a wait of microseconds would count as a short one
    for batch_id in sent:
        await machine.answered(batch_id)


async def test_a_gateway_does_not_spin_while_busy_replicas_need_all_cores(spinning: Callable[..., Machine]) -> None:
    spin = Counted(most=50, cores=1)
    machine = spinning(gateway_spin=spin)
    await machine.start("a")
    machine.may_compute.clear()
    held = machine.send()
    await until(lambda: machine.computed_by == ["a"])
    assert spin.count == 0

    machine.may_compute.set()
    await machine.answered(held)

    await until(lambda: spin.count == 50)


async def test_a_replica_looks_again_before_it_sleeps(spinning: Callable[..., Machine]) -> None:
    spin = Counted(most=50)
    machine = spinning(replica_spin=spin)

    await machine.start("a")

    await until(lambda: spin.count == 50)
    await machine.answered(machine.send())
    assert machine.computed_by == ["a"]  # it still wakes up after it has slept


async def test_a_replica_does_not_spin_while_it_computes_another_batch(spinning: Callable[..., Machine]) -> None:
    spin = Counted(most=sys.maxsize)
    machine = spinning(replica_spin=spin)
    await machine.start("a", at_once=2)
    await until(lambda: spin.count > 0)
    machine.may_compute.clear()
    held = machine.send()
    await until(lambda: machine.computed_by == ["a"])
    await asyncio.sleep(0.05)  # for a turn that has begun

    counted = spin.count
    await asyncio.sleep(0.05)

    assert spin.count == counted
    machine.may_compute.set()
    await machine.answered(held)
