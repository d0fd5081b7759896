"""What happens to the machines: each fault ends with everything running and redundant again."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from tests.faults.ha import brokers, databases
from tests.faults.ha.machines import Machine
from tests.faults.ha.world import World
from tests.faults.nemesis import held_by

AWAY_S = 12.0  # how long a machine is gone
DETECTED_S = 2.0  # until an operator or Patroni promotes a standby


@dataclass(frozen=True)
class Fault:
    """`inflict` returns the machine whose processes it killed, if any; `end` repairs."""

    name: str
    inflict: Callable[[], Machine | None]
    end: Callable[[], None]
    holds_s: float = AWAY_S


def faults(world: World, rng: random.Random) -> list[Fault]:
    """Return one of each kind, in a random order."""
    chosen = Nemesis(world, rng)
    result = [
        Fault("machine of the primary killed, standby promoted", chosen.kill_primary, chosen.bring_back),
        Fault("machine of the primary cut off, standby promoted", chosen.cut_primary, chosen.bring_back),
        Fault("planned switch of the primary", chosen.switch_primary, chosen.bring_back, 3.0),
        Fault("machine without the primary killed", chosen.kill_other, chosen.bring_back),
        Fault("machine without the primary cut off", chosen.cut_other, chosen.bring_back),
        Fault("Redis failover by hand", chosen.fail_over, chosen.bring_back, 3.0),
        Fault("Redis master killed", chosen.kill_redis, chosen.bring_back),
        Fault("Redis master frozen", chosen.freeze_redis, chosen.bring_back, 8.0),
    ]
    kinds = sorted({daemon[:3] for daemon in world.storage.daemons})
    for kind in kinds:
        daemon = rng.choice([daemon for daemon in world.storage.daemons if daemon.startswith(kind)])
        result.append(Fault(f"one of storage's {kind} killed", partial(chosen.kill_storage, daemon), chosen.bring_back))
    rng.shuffle(result)
    return result


class Nemesis:
    """Chooses machines, and knows how to bring back what it took."""

    def __init__(self, world: World, rng: random.Random) -> None:
        self._world, self._rng = world, rng
        self._repairs: list[Callable[[], None]] = []

    def kill_primary(self) -> Machine:
        machine = self._primary()
        machine.power_off()
        self._promote(machine)
        self._repairs += [partial(machine.power_on, databases.NAME), partial(self._world.databases.rejoin, machine)]
        return machine

    def cut_primary(self) -> None:
        """Cut the machine off and fence its database by another way, as a watchdog does; its services go on alone."""
        machine = self._primary()
        machine.cut()
        self._world.databases.fence(machine)
        self._promote(machine)
        self._repairs += [machine.heal, partial(self._world.databases.rejoin, machine)]

    def switch_primary(self) -> None:
        machine = self._primary()
        self._world.databases.stop(machine)
        self._world.databases.promote(machine)
        self._repairs.append(partial(self._world.databases.rejoin, machine))

    def kill_other(self) -> Machine:
        machine = self._other()
        machine.power_off()
        self._repairs.append(machine.power_on)
        return machine

    def cut_other(self) -> None:
        machine = self._other()
        machine.cut()
        self._repairs.append(machine.heal)

    def fail_over(self) -> None:
        self._world.brokers.fail_over()

    def kill_redis(self) -> None:
        process = self._master().processes[brokers.NAME]
        process.pause()
        self._repairs.append(process.resume)

    def freeze_redis(self) -> None:
        process = self._master().processes[brokers.NAME]
        process.freeze()
        self._repairs.append(process.thaw)

    def kill_storage(self, daemon: str) -> None:
        self._world.storage.kill(daemon)
        self._repairs.append(partial(self._world.storage.revive, daemon))

    def bring_back(self) -> None:
        """Repair, and wait until the next loss can be survived."""
        while self._repairs:
            self._repairs.pop(0)()
        self._world.wait_until_redundant()

    def _promote(self, old: Machine) -> None:
        time.sleep(DETECTED_S)
        self._world.databases.promote(old)

    def _primary(self) -> Machine:
        machine = self._world.databases.primary()
        assert machine is not None
        return machine

    def _master(self) -> Machine:
        machine = self._world.brokers.master()
        assert machine is not None
        return machine

    def _other(self) -> Machine:
        primary = self._primary()
        return self._rng.choice([machine for machine in self._world.network.machines if machine is not primary])


def held_on(world: World) -> dict[str, dict[str, int]]:
    """Return the rows that the replicas of each machine hold, with their fences."""
    held: dict[str, dict[str, int]] = {}
    for machine in world.network.machines:
        held[machine.name] = {}
        for name in world.workers(machine):
            held[machine.name] |= held_by(world.cluster, machine.processes[name])
    return held
