"""The autoscaler's loop: measure, decide for pools in auto mode, and apply the decisions with the driver."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence

import structlog

from contract.errors import TidepoolError
from contract.pools import Measured, PoolMode, PoolName
from messaging.cordon import Cordon
from services.autoscaler.choice import changes
from services.autoscaler.drivers.driver import Driver, Replica
from services.autoscaler.metrics import count_decision, show_replicas
from services.autoscaler.policy import DECIDE_S, decide
from services.autoscaler.policy_state import PolicyState
from services.storage.pools.demand import Demand
from services.storage.pools.pools import Pools, Setting
from services.storage.pools.queues import JobHolders

WAKE_S = 0.2  # while a pool that follows its load is at zero, since its first request waits for this

log = structlog.get_logger()


class Autoscaler:
    """Several may run: what one decides counts only if the pool is still what the decision was made for.

    What cannot be measured or reached now is left as it is, and looked at again.
    """

    def __init__(
        self,
        pools: Pools,
        demand: Demand,
        holders: JobHolders,
        driver: Driver,
        surplus: Cordon,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pools = pools
        self._demand = demand
        self._holders = holders
        self._driver = driver
        self._surplus = surplus
        self._clock = clock
        self._states: dict[PoolName, tuple[int, PolicyState]] = {}  # with the revision of the pool

    def run(self, stop: threading.Event) -> None:
        """Step every second until `stop` is set."""
        pause = 0.0
        while not stop.wait(pause):
            pause = DECIDE_S
            try:
                if self.step():
                    pause = WAKE_S
            except TidepoolError as error:
                log.warning("pools left as they are", code=error.code)

    def step(self) -> bool:
        """Once for every pool; whether one of them may have to wake soon. Raises DatabaseUnavailable."""
        settings, measured, holders = self._pools.list(), self._demand.measure(), self._holders.names()
        replicas = self._replicas()
        if replicas:
            settings = tuple(self._found(one, len(replicas[one.name]), measured[one.name]) for one in settings)
        holding = [self._decided(setting, measured[setting.name]) for setting in settings]
        if replicas:
            self._drive(holding, replicas, holders)
        return any(setting.mode is PoolMode.AUTO and setting.desired == 0 for setting in holding)

    def _found(self, seen: Setting, created: int, measured: Measured) -> Setting:
        return self._pools.record_created(seen, created, measured, by_people=self._driver.created_by_people)

    def _decided(self, seen: Setting, measured: Measured) -> Setting:
        """The pool as it is meant to be from now on."""
        if seen.mode is not PoolMode.AUTO:
            return seen
        now = self._clock()
        revision, state = self._states.get(seen.name, (None, None))
        if state is None or revision != seen.revision:  # the pool was changed elsewhere
            state = PolicyState.initial(seen.desired, now)
        decision, state = decide(measured, seen.policy, state, now)
        if decision.replicas == seen.desired:
            self._states[seen.name] = (seen.revision, state)
            return seen
        after = self._pools.decide(seen, decision, measured)
        if (after.revision, after.desired) == (seen.revision + 1, decision.replicas):
            self._states[seen.name] = (after.revision, state)
            count_decision(seen.name, seen.desired, after.desired)
            log.info("pool changed", pool=seen.name, desired=after.desired, reason=decision.reason)
        return after

    def _replicas(self) -> Mapping[PoolName, Sequence[Replica]] | None:
        """None while the driver cannot tell, when pools are still decided."""
        try:
            return self._driver.replicas()
        except TidepoolError as error:
            log.warning("replicas unknown", code=error.code, reason=error.message)
            return None

    def _drive(
        self,
        settings: Sequence[Setting],
        replicas: Mapping[PoolName, Sequence[Replica]],
        holders: frozenset[str],
    ) -> None:
        try:
            resting: dict[PoolName, set[str]] = {}
            for setting in settings:
                show_replicas(setting.name, setting.desired, replicas[setting.name])
                rest = self._apply(setting, replicas[setting.name], holders)
                resting[setting.name] = {replica.worker for replica in rest}
            self._surplus.publish(resting)
        except TidepoolError as error:
            log.warning("replicas left as they are", code=error.code, reason=error.message)

    def _apply(self, setting: Setting, replicas: Sequence[Replica], holders: frozenset[str]) -> Sequence[Replica]:
        """Those that go when their jobs are done.

        Jobs are interrupted, to go on from their checkpoints elsewhere, only where a person wants no replicas.
        """
        by_hand_to_zero = setting.mode is PoolMode.MANUAL and setting.desired == 0
        start, stop, rest = changes(replicas, setting.desired, frozenset() if by_hand_to_zero else holders)
        for replica in start:
            self._driver.start(replica)
        for replica in stop:
            self._driver.stop(replica)
        if start or stop:
            log.info("pool moves", pool=setting.name, desired=setting.desired, start=len(start), stop=len(stop))
        return rest
