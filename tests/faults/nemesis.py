"""What can go wrong: every fault the nemesis knows, how it is done and how it ends."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from signal import SIGCONT, SIGKILL, SIGSTOP, Signals

from sqlalchemy import select, text, update

from contract.jobs import LIVE, JobState
from services.storage.jobs.rows import LEASE
from services.storage.tables import jobs
from tests.faults.cluster import Cluster
from tests.faults.kept import Kept, signal_all
from tests.faults.proxy import Mode

MODES = (Mode.LATENCY, Mode.BLACK_HOLE, Mode.STALE, Mode.RESET, Mode.DROP, Mode.TRUNCATE)


@dataclass(frozen=True)
class Fault:
    """Something to do to a cluster; `holds_s` is how long it lasts, `kills` whose jobs it takes."""

    name: str
    inflict: Callable[[], None]
    end: Callable[[], None] = lambda: None
    holds_s: float = 0.0
    kills: Kept | None = None


def faults(cluster: Cluster, ageing: bool) -> list[Fault]:
    """All faults that can be done to this cluster; leases run out in a moment when `ageing`, else in their time."""
    found = [
        Fault("redis FLUSHALL", partial(_redis, cluster, "FLUSHALL")),
        Fault("redis wiped", cluster.wipe_redis),
        Fault("redis at maxmemory", partial(_max_memory, cluster, "1"), partial(_max_memory, cluster, "0"), holds_s=4),
        Fault("s3 gone", cluster.kept["s3"].pause, cluster.kept["s3"].resume, holds_s=8),
    ]
    for name, kept in cluster.kept.items():
        found.append(Fault(f"kill -9 {name}", kept.kill, kills=kept if kept in cluster.workers else None))
        found.append(Fault(f"freeze {name}", kept.freeze, kept.thaw, holds_s=5))
    for worker in cluster.workers:
        past = partial(_freeze_past_lease, cluster, worker) if ageing else worker.freeze
        found.append(Fault(f"freeze {worker.name} past its lease", past, worker.thaw, holds_s=6 if ageing else 75))
        found.append(Fault(f"kill -9 attempt of {worker.name}", partial(_attempts, worker, SIGKILL)))
        freeze, thaw = partial(_attempts, worker, SIGSTOP), partial(_attempts, worker, SIGCONT)
        found.append(Fault(f"freeze attempt of {worker.name}", freeze, thaw, holds_s=5))
    for name, proxy in cluster.proxies.items():
        for mode in (*MODES, Mode.BUSY) if name == "s3" else MODES:
            found.append(Fault(f"{name} {mode}", partial(proxy.set, mode), partial(proxy.set, Mode.PASS), holds_s=4))
    if cluster.dialect == "postgresql":
        found.append(Fault("database connections cut", partial(cut_connections, cluster)))
    if cluster.disk.can_be_full:
        found.append(Fault("disk full", cluster.disk.fill, cluster.disk.empty, holds_s=3))
    return found


def cut_connections(cluster: Cluster) -> None:
    """Close every connection of the services to PostgreSQL, in the middle of what they do."""
    with cluster.stores.database.read() as connection:
        connection.execute(text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"))


def age_leases(cluster: Cluster, living: bool = True) -> None:
    """Let a lease's time pass for every lease and every wait, as if the clocks had jumped.

    Without `living`, only for the leases that no process renews any more: what waiting would come to.
    """
    pids = set() if living else {str(worker.pid) for worker in cluster.workers if worker.running()}
    jump = LEASE + timedelta(seconds=1)
    times = (jobs.c.lease_until, jobs.c.run_at, jobs.c.woken_at, jobs.c.cancel_requested_at)
    with cluster.stores.database.write() as connection:
        live = select(jobs.c.id, jobs.c.worker, *times).where(jobs.c.state.in_(LIVE))
        for row in connection.execute(live).mappings().all():
            if row["lease_until"] is None or str(row["worker"]).rpartition(":")[2] not in pids:
                earlier = {time.key: row[time.key] - jump for time in times if row[time.key] is not None}
                connection.execute(update(jobs).where(jobs.c.id == row["id"]).values(earlier))


def held_by(cluster: Cluster, worker: Kept) -> dict[str, int]:
    """The rows that a worker process runs, with their fences."""
    mine = jobs.c.worker.endswith(f":{worker.pid}") & jobs.c.lease_until.is_not(None)
    with cluster.stores.database.read() as connection:
        rows = connection.execute(select(jobs.c.id, jobs.c.fence).where(jobs.c.state == JobState.RUNNING, mine))
        return {row.id: row.fence for row in rows}


def _freeze_past_lease(cluster: Cluster, worker: Kept) -> None:
    worker.freeze()
    age_leases(cluster)


def _attempts(worker: Kept, number: Signals) -> None:
    signal_all(worker.attempts(), number)


def _redis(cluster: Cluster, *command: str) -> None:
    cluster.redis.execute_command(*command)  # type: ignore[no-untyped-call]


def _max_memory(cluster: Cluster, limit: str) -> None:
    _redis(cluster, "CONFIG", "SET", "maxmemory", limit)
