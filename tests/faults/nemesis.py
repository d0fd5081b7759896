"""The nemesis: every fault, how it is inflicted and how it ends."""

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
from tests.faults.process import RestartedProcess, signal_all
from tests.faults.proxy import Mode

MODES = (Mode.LATENCY, Mode.BLACK_HOLE, Mode.STALE, Mode.RESET, Mode.DROP, Mode.TRUNCATE)


@dataclass(frozen=True)
class Fault:
    """A fault of a cluster, which lasts `holds_s`; `kills` is the worker that it kills, if any."""

    name: str
    inflict: Callable[[], None]
    end: Callable[[], None] = lambda: None
    holds_s: float = 0.0
    kills: RestartedProcess | None = None


def faults(cluster: Cluster, ageing: bool) -> list[Fault]:
    """Return all faults possible on this cluster. With `ageing`, leases expire at once, else in real time."""
    result = [
        Fault("redis FLUSHALL", partial(_redis, cluster, "FLUSHALL")),
        Fault("redis wiped", cluster.wipe_redis),
        Fault("redis at maxmemory", partial(_max_memory, cluster, "1"), partial(_max_memory, cluster, "0"), holds_s=4),
        Fault("s3 gone", cluster.processes["s3"].pause, cluster.processes["s3"].resume, holds_s=8),
    ]
    for name, process in cluster.processes.items():
        result.append(Fault(f"kill -9 {name}", process.kill, kills=process if process in cluster.workers else None))
        result.append(Fault(f"freeze {name}", process.freeze, process.thaw, holds_s=5))
    for worker in cluster.workers:
        freeze_past_lease = partial(_freeze_past_lease, cluster, worker) if ageing else worker.freeze
        result.append(
            Fault(f"freeze {worker.name} past its lease", freeze_past_lease, worker.thaw, holds_s=6 if ageing else 75)
        )
        result.append(Fault(f"kill -9 attempt of {worker.name}", partial(_attempts, worker, SIGKILL)))
        freeze, thaw = partial(_attempts, worker, SIGSTOP), partial(_attempts, worker, SIGCONT)
        result.append(Fault(f"freeze attempt of {worker.name}", freeze, thaw, holds_s=5))
    for name, proxy in cluster.proxies.items():
        for mode in (*MODES, Mode.BUSY) if name == "s3" else MODES:
            result.append(Fault(f"{name} {mode}", partial(proxy.set, mode), partial(proxy.set, Mode.PASS), holds_s=4))
    if cluster.dialect == "postgresql":
        result.append(Fault("database connections cut", partial(cut_connections, cluster)))
    if cluster.disk.can_be_full:
        result.append(Fault("disk full", cluster.disk.fill, cluster.disk.empty, holds_s=3))
    return result


def cut_connections(cluster: Cluster) -> None:
    """Terminate every connection of the services to PostgreSQL."""
    with cluster.stores.database.read() as connection:
        connection.execute(text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"))


def age_leases(cluster: Cluster, living: bool = True) -> None:
    """Age all leases and delays by the length of a lease, as if clocks had jumped.

    Without `living`, leases of running workers are left out, which gives the same result as waiting.
    """
    pids = set() if living else {str(worker.pid) for worker in cluster.workers if worker.running()}
    jump = LEASE + timedelta(seconds=1)
    times = (jobs.c.lease_until, jobs.c.run_at, jobs.c.woken_at, jobs.c.cancel_requested_at)
    with cluster.stores.database.write() as connection:
        live = select(jobs.c.id, jobs.c.worker, *times).where(jobs.c.state.in_(LIVE))
        for row in connection.execute(live).mappings().all():
            if row["lease_until"] is None or str(row["worker"]).rpartition(":")[2] not in pids:
                earlier = {time: row[time] - jump for time in times if row[time] is not None}
                connection.execute(update(jobs).where(jobs.c.id == row["id"]).values(earlier))


def held_by(cluster: Cluster, worker: RestartedProcess) -> dict[str, int]:
    """Return the rows held by a worker process, with their fences."""
    held = jobs.c.worker.endswith(f":{worker.pid}") & jobs.c.lease_until.is_not(None)
    with cluster.stores.database.read() as connection:
        rows = connection.execute(select(jobs.c.id, jobs.c.fence).where(jobs.c.state == JobState.RUNNING, held))
        return {row.id: row.fence for row in rows}


def _freeze_past_lease(cluster: Cluster, worker: RestartedProcess) -> None:
    worker.freeze()
    age_leases(cluster)


def _attempts(worker: RestartedProcess, number: Signals) -> None:
    signal_all(worker.attempts(), number)


def _redis(cluster: Cluster, *command: str) -> None:
    cluster.redis.execute_command(*command)  # type: ignore[no-untyped-call]


def _max_memory(cluster: Cluster, limit: str) -> None:
    _redis(cluster, "CONFIG", "SET", "maxmemory", limit)
