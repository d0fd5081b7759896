"""Where a deployment of many replicas reaches a limit of its database, its relay or its Redis, in closed form.

Each resource is used by what happens a second, times what one of it costs. Both grow linearly with the replicas, so the
number at which a resource is full follows without simulating steps. Costs are measured by `make bench-storage`.
"""

from collections.abc import Iterator
from dataclasses import dataclass

BUSY = 0.7  # how busy a server may be before waits grow
RENEW_S = 5.0  # between two renewals of a lease without progress, as in `worker.watch`
SECOND_MS = 1000.0


@dataclass(frozen=True)
class Costs:
    """What one operation costs, in milliseconds.

    `claim_ms` is the whole transaction of a claim, which no other claim of the pool overlaps if several projects have
    work; `relay_ms` that of a wake-up message in the storage process. `*_cpu_ms` is CPU time of the database's server,
    `*_redis_ms` that of Redis, which has one core. `finish` includes the events of an attempt's end.
    """

    claim_ms: float
    relay_ms: float
    create_cpu_ms: float
    claim_cpu_ms: float
    finish_cpu_ms: float
    renew_cpu_ms: float
    progress_cpu_ms: float
    count_cpu_ms: float
    wake_redis_ms: float
    beat_redis_ms: float
    report_redis_ms: float
    batch_redis_ms: float


@dataclass(frozen=True)
class Cluster:
    """A deployment under full load: `replicas` run jobs of `job_s` seconds, `online` replicas answer batches.

    A job reports its progress every `progress_s` seconds. `connections` are what the database accepts, of which each
    replica holds `connections_each` and each gateway as many as a pool of eight.
    """

    replicas: int
    job_s: float
    online: int = 0
    batches_each: float = 10.0
    gateways: int = 2
    progress_s: float = 5.0
    projects: int = 2
    database_cores: int = 8
    connections: int = 300
    connections_each: float = 2.0

    @property
    def members(self) -> int:
        """All replicas."""
        return self.replicas + self.online


@dataclass(frozen=True)
class Resource:
    """A resource: how much of its unit is used a second and available, of which `fixed` does not grow with replicas.

    `available` already leaves the share that keeps waits short.
    """

    name: str
    unit: str
    used: float
    available: float
    fixed: float = 0.0

    @property
    def share(self) -> float:
        return self.used / self.available

    def most_replicas(self, cluster: Cluster) -> float:
        """Return the number of replicas, of both kinds in the same proportion, that use all of it."""
        each = (self.used - self.fixed) / cluster.members
        return max(0.0, self.available - self.fixed) / each if each else float("inf")


GATEWAY_CONNECTIONS = 8
OTHER_PROCESSES = 2  # the storage process and an autoscaler count the queues as each gateway does


def resources(cluster: Cluster, costs: Costs) -> tuple[Resource, ...]:
    """Return the resources, the one that is full with the fewest replicas first."""
    return tuple(sorted(_resources(cluster, costs), key=lambda resource: resource.most_replicas(cluster)))


def _resources(cluster: Cluster, costs: Costs) -> Iterator[Resource]:
    jobs, counters = cluster.replicas / cluster.job_s, cluster.gateways + OTHER_PROCESSES
    if cluster.projects > 1:
        yield Resource("claims, one after the other", "claims/s", jobs, BUSY * SECOND_MS / costs.claim_ms)
    yield Resource("relay of wake-up messages", "messages/s", jobs, BUSY * SECOND_MS / costs.relay_ms)
    cores, renewals = BUSY * SECOND_MS * cluster.database_cores, cluster.replicas / RENEW_S
    events = cluster.replicas / cluster.progress_s * costs.progress_cpu_ms
    counts = counters * costs.count_cpu_ms
    work = jobs * (costs.create_cpu_ms + costs.claim_cpu_ms + costs.finish_cpu_ms) + renewals * costs.renew_cpu_ms
    yield Resource("database: jobs, leases, counts", "CPU ms/s", work + events + counts, cores, counts)
    yield Resource("database: events of progress alone", "CPU ms/s", events, cores)
    gateways = cluster.gateways * GATEWAY_CONNECTIONS
    used = cluster.members * cluster.connections_each + gateways
    yield Resource("database: connections", "connections", used, cluster.connections, gateways)
    beats = cluster.members * (costs.beat_redis_ms + counters * costs.report_redis_ms)
    batches = cluster.online * cluster.batches_each * costs.batch_redis_ms
    yield Resource(
        "Redis: batches, heartbeats, wake-ups",
        "CPU ms/s",
        beats + batches + jobs * costs.wake_redis_ms,
        BUSY * SECOND_MS,
    )
