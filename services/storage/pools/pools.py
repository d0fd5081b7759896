"""Pools: how many replicas each should have, set by hand or by the autoscaler."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from sqlalchemy import Connection, RowMapping, insert, select, update

from contract.audit import AuditAction
from contract.errors import Invalid, NotFound
from contract.pools import (
    POOL_NAMES,
    AutoPool,
    Decision,
    Measured,
    PoolMode,
    PoolName,
    Queue,
    ScalingPolicy,
)
from services.storage.access.audit import Actor, record
from services.storage.database import Database
from services.storage.pools.history import PoolChangePage, add_change, add_limit, changes, prune
from services.storage.pools.queues import queues
from services.storage.tables import pools

# Every pool starts in manual mode with one replica: growth costs memory or money, so the operator decides. These
# policies apply when a pool is switched to auto.
POLICIES: dict[PoolName, ScalingPolicy] = {
    "preprocess": ScalingPolicy(min=1, max=4, backlog_per_replica=2),
    "trainer": ScalingPolicy(min=1, max=2, backlog_per_replica=1),
    "inference": ScalingPolicy(min=1, max=4, backlog_per_replica=16, utilization=0.7),
}


@dataclass(frozen=True)
class PoolSetting:
    """The desired state of a pool; `revision` is incremented by every change.

    `created` is how many replicas can be started, None until an autoscaler reports it.
    """

    name: PoolName
    mode: PoolMode
    policy: ScalingPolicy
    desired: int
    created: int | None
    revision: int
    created_at: datetime

    @classmethod
    def of(cls, row: RowMapping) -> Self:
        return cls(
            name=row["name"],
            mode=PoolMode(row["mode"]),
            policy=ScalingPolicy.model_validate(row["policy"]),
            desired=row["desired"],
            created=row["created"],
            revision=row["revision"],
            created_at=row["created_at"],
        )

    @property
    def most(self) -> int:
        """The largest number of replicas that the setting permits."""
        return self.policy.max if self.mode is PoolMode.AUTO else self.desired


class Pools:
    """The pools, the history of their changes, and their queues."""

    def __init__(self, database: Database, actor: Actor | None = None) -> None:
        self._database = database
        self._actor = actor

    def ensure(self) -> None:
        """Create the pools that are missing."""
        now = self._database.now()
        new = {"mode": PoolMode.MANUAL, "desired": 1, "revision": 1, "created_at": now, "updated_at": now}
        rows = {name: new | {"name": name, "policy": policy.model_dump()} for name, policy in POLICIES.items()}
        with self._database.write() as connection:
            missing = rows.keys() - set(connection.execute(select(pools.c.name)).scalars())
            if missing:
                connection.execute(insert(pools), [rows[name] for name in sorted(missing)])
                for name in sorted(missing):
                    add_limit(connection, name, 1, self._database)

    def get(self, name: PoolName) -> PoolSetting:
        """Return a pool; raises NotFound if `ensure` was never called."""
        with self._database.read() as connection:
            return _setting(connection, name)

    def list(self) -> tuple[PoolSetting, ...]:
        """Return all pools, in the order of POOL_NAMES."""
        with self._database.read() as connection:
            settings = map(PoolSetting.of, connection.execute(select(pools)).mappings().all())
        return tuple(sorted(settings, key=lambda setting: POOL_NAMES.index(setting.name)))

    def queues(self) -> dict[PoolName, Queue]:
        """Return the numbers of waiting and running jobs of each pool."""
        with self._database.read() as connection:
            return queues(connection, self._database.now())

    def set_manual(self, name: PoolName, replicas: int, measured: Measured) -> PoolSetting:
        """Switch a pool to manual mode with a fixed size; raises NotFound."""
        with self._database.write() as connection:
            setting = _setting(connection, name, lock=True)
            if (setting.mode, setting.desired) == (PoolMode.MANUAL, replicas):
                return setting
            values = {"mode": PoolMode.MANUAL, "desired": replicas}
            return self._change(connection, setting, values, f"set by hand to {replicas}", measured)

    def set_auto(self, name: PoolName, request: AutoPool, measured: Measured) -> PoolSetting:
        """Switch a pool to auto mode, and bring its size within the bounds.

        Raises NotFound, or Invalid if min is larger than max.
        """
        with self._database.write() as connection:
            setting = _setting(connection, name, lock=True)
            try:
                policy = request.onto(setting.policy)
            except ValueError as error:
                bounds = setting.policy.model_dump() | request.model_dump(exclude_unset=True)
                raise Invalid(f"min is {bounds['min']} and max is {bounds['max']}; min must not be larger") from error
            if (setting.mode, setting.policy) == (PoolMode.AUTO, policy):
                return setting
            desired = min(max(setting.desired, policy.min), policy.max)
            values = {"mode": PoolMode.AUTO, "desired": desired, "policy": policy.model_dump()}
            reason = f"set to follow its load between {policy.min} and {policy.max}"
            return self._change(connection, setting, values, reason, measured)

    def decide(self, seen: PoolSetting, decision: Decision, measured: Measured) -> PoolSetting:
        """Apply a decision that was made for `seen`, within its bounds; return the setting that now applies.

        Changes nothing if a person or another autoscaler has changed the pool since.
        """
        desired = min(max(decision.replicas, seen.policy.min), seen.policy.max)
        with self._database.write() as connection:
            setting = _setting(connection, seen.name, lock=True)
            stale = setting.revision != seen.revision or setting.mode is not PoolMode.AUTO
            if stale or setting.desired == desired:
                return setting
            return self._change(connection, setting, {"desired": desired}, decision.reason, measured)

    def record_created(self, seen: PoolSetting, created: int, measured: Measured, *, by_people: bool) -> PoolSetting:
        """Record how many replicas can be started; return the setting that now applies.

        If people created or removed replicas of a manual pool (`by_people`), that number also becomes the desired one,
        except for the first observation of a pool whose size was already set.
        """
        if seen.created == created:
            return seen
        with self._database.write() as connection:
            setting = _setting(connection, seen.name, lock=True)
            never_set = setting.created is None and setting.revision == 1
            new = never_set or setting.created not in {None, created}
            if by_people and new and setting.mode is PoolMode.MANUAL and setting.desired != created:
                values = {"created": created, "desired": created}
                return self._change(connection, setting, values, f"{created} replicas were created", measured)
            record = update(pools).where(pools.c.name == seen.name).values(created=created).returning(pools)
            return PoolSetting.of(connection.execute(record).mappings().one())

    def history(self, name: PoolName, limit: int, cursor: str | None = None) -> PoolChangePage:
        """Return a page of at most `limit` changes, newest first; raises Invalid for a malformed cursor."""
        with self._database.read() as connection:
            return changes(connection, name, limit, cursor)

    def prune(self) -> None:
        """Delete all but the newest changes of each pool."""
        with self._database.write() as connection:
            prune(connection)

    def _change(
        self, connection: Connection, setting: PoolSetting, values: dict[str, Any], reason: str, measured: Measured
    ) -> PoolSetting:
        """Change a pool and record the change in its history."""
        values |= {"revision": setting.revision + 1, "updated_at": self._database.now()}
        changed = update(pools).where(pools.c.name == setting.name).values(values).returning(pools)
        after = PoolSetting.of(connection.execute(changed).mappings().one())
        add_change(connection, after.name, after.desired, reason, measured, self._database)
        if after.most != setting.most:
            add_limit(connection, after.name, after.most, self._database)
        now = self._database.now()
        record(connection, self._actor, AuditAction.CHANGE, f"pools/{after.name}", now, reason)
        return after


def _setting(connection: Connection, name: PoolName, lock: bool = False) -> PoolSetting:
    """Return a pool's setting; with `lock`, wait for transactions that are changing it. Raises NotFound."""
    query = select(pools).where(pools.c.name == name)
    row = connection.execute(query.with_for_update() if lock else query).mappings().one_or_none()
    if row is None:
        raise NotFound(f"there is no pool {name} yet; the deployment was not initialised")
    return PoolSetting.of(row)
