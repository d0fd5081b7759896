"""The autoscaler's loop: measure, decide for pools in auto mode, and apply the decisions with the driver."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence

import structlog

from contract.errors import TidepoolError
from contract.pools import Measured, PoolMode, PoolName
from messaging.cordon import Cordon
from scaling.policy import DECIDE_S, decide
from scaling.policy_state import PolicyState
from services.autoscaler.choice import changes
from services.autoscaler.drivers.driver import Driver, Replica
from services.autoscaler.metrics import count_decision, show_measured, show_replicas
from services.storage.pools.demand import Demand
from services.storage.pools.pools import Pools, PoolSetting
from services.storage.pools.queues import JobHolders

WAKE_S = 0.2  # interval while an auto pool is at zero, since its first request waits this long

log = structlog.get_logger()


class Autoscaler:
    """Scales the pools in auto mode and drives the replicas of all pools.

    Several autoscalers may run: a decision applies only if the pool has not changed since it was read. If something
    cannot be measured or reached, it stays unchanged until the next step.
    """

    def __init__(
        self,
        pools: Pools,
        demand: Demand,
        job_holders: JobHolders,
        driver: Driver,
        cordon: Cordon,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pools = pools
        self._demand = demand
        self._job_holders = job_holders
        self._driver = driver
        self._cordon = cordon
        self._clock = clock
        self._states: dict[PoolName, tuple[int, PolicyState]] = {}  # with the pool's revision

    def run(self, stop: threading.Event, on_step: Callable[[], None] = lambda: None) -> None:
        """Step every second until `stop` is set; call `on_step` after each step that did not fail."""
        pause = 0.0
        while not stop.wait(pause):
            pause = DECIDE_S
            try:
                if self.step():
                    pause = WAKE_S
                on_step()
            except TidepoolError as error:
                log.warning("pools not scaled", code=error.code)
            except Exception:  # the next step may succeed, and without it no pool would be scaled
                log.exception("pools not scaled")

    def step(self) -> bool:
        """Scale every pool once; return whether an auto pool is at zero. Raises DatabaseUnavailable."""
        settings, measured = self._pools.list(), self._demand.measure()
        busy_workers, helping_workers = self._job_holders.names(), self._job_holders.in_seats()
        for pool, at_pool in measured.items():
            show_measured(pool, at_pool)
        replicas = self._replicas()
        if replicas:
            settings = tuple(
                self._record_created(setting, len(replicas[setting.name]), measured[setting.name])
                for setting in settings
            )
        settings = tuple(self._decide(setting, measured[setting.name]) for setting in settings)
        if replicas:
            self._drive(settings, replicas, busy_workers, helping_workers)
        return any(setting.mode is PoolMode.AUTO and setting.desired == 0 for setting in settings)

    def _record_created(self, setting: PoolSetting, created: int, measured: Measured) -> PoolSetting:
        return self._pools.record_created(setting, created, measured, by_people=self._driver.created_by_people)

    def _decide(self, before: PoolSetting, measured: Measured) -> PoolSetting:
        """Decide for a pool in auto mode; return the setting that now applies."""
        if before.mode is not PoolMode.AUTO:
            return before
        now = self._clock()
        revision, state = self._states.get(before.name, (None, None))
        if state is None or revision != before.revision:  # the pool was changed elsewhere
            state = PolicyState.initial(before.desired, now)
        decision, state = decide(measured, before.policy, state, now)
        if decision.replicas == before.desired:
            self._states[before.name] = (before.revision, state)
            return before
        after = self._pools.decide(before, decision, measured)
        if (after.revision, after.desired) == (before.revision + 1, decision.replicas):
            self._states[before.name] = (after.revision, state)
            count_decision(before.name, before.desired, after.desired)
            log.info("pool scaled", pool=before.name, desired=after.desired, reason=decision.reason)
        return after

    def _replicas(self) -> Mapping[PoolName, Sequence[Replica]] | None:
        """Return the replicas of every pool, or None if the driver is unavailable; decisions continue without them."""
        try:
            return self._driver.replicas()
        except TidepoolError as error:
            log.warning("replicas not listed", code=error.code, reason=error.message)
            return None

    def _drive(
        self,
        settings: Sequence[PoolSetting],
        replicas: Mapping[PoolName, Sequence[Replica]],
        busy_workers: frozenset[str],
        helping_workers: frozenset[str],
    ) -> None:
        try:
            cordoned: dict[PoolName, set[str]] = {}
            for setting in settings:
                show_replicas(setting.name, setting.desired, replicas[setting.name])
                cordoned_replicas = self._apply(setting, replicas[setting.name], busy_workers, helping_workers)
                cordoned[setting.name] = {replica.worker for replica in cordoned_replicas}
            self._cordon.publish(cordoned)
        except TidepoolError as error:
            log.warning("replicas not changed", code=error.code, reason=error.message)

    def _apply(
        self,
        setting: PoolSetting,
        replicas: Sequence[Replica],
        busy_workers: frozenset[str],
        helping_workers: frozenset[str],
    ) -> Sequence[Replica]:
        """Start and stop replicas of a pool; return those to cordon, which stop after their current job.

        Only a manual setting of zero interrupts jobs; they resume from their checkpoints on another replica.
        """
        manual_zero = setting.mode is PoolMode.MANUAL and setting.desired == 0
        busy = frozenset[str]() if manual_zero else busy_workers
        start, stop, cordon = changes(replicas, setting.desired, busy, helping_workers)
        for replica in start:
            self._driver.start(replica)
        for replica in stop:
            self._driver.stop(replica)
        if start or stop:
            log.info("replicas changed", pool=setting.name, desired=setting.desired, start=len(start), stop=len(stop))
        return cordon
