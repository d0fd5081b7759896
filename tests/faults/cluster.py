"""A running Tidepool: its processes, the proxies in front of its servers, and its stores."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import redis

from services.storage.stores import Stores
from tests.faults.disk import Disk
from tests.faults.process import RestartedProcess
from tests.faults.proxy import Mode, Proxy


@dataclass(frozen=True)
class Replica:
    """A worker process: its name, which begins with its pool, and its module with arguments."""

    name: str
    command: tuple[str, ...]

    @classmethod
    def of(cls, pool: str, number: int) -> "Replica":
        """A replica whose jobs behave by their names; see `behaviours`."""
        return cls(f"{pool}-{number}", ("tests.faults.worker", pool))


POOLS = ("preprocess", "trainer", "inference")
SERVICES = tuple(Replica(pool, (f"services.{pool}.main",)) for pool in POOLS)
REPLICAS = (Replica.of("preprocess", 1), Replica.of("preprocess", 2), Replica.of("trainer", 1))


@dataclass(frozen=True)
class Cluster:
    """The parts of a cluster; `stores` bypass the proxies."""

    folder: Path
    url: str
    key: str
    dialect: str
    redis_url: str
    stores: Stores
    upload: str
    disk: Disk
    proxies: dict[str, Proxy]
    processes: dict[str, RestartedProcess]

    @property
    def workers(self) -> list[RestartedProcess]:
        return [process for name, process in self.processes.items() if name.startswith(POOLS)]

    @property
    def redis(self) -> "redis.Redis":
        """A client that bypasses the proxy."""
        return redis.Redis.from_url(self.redis_url, socket_timeout=3, socket_connect_timeout=3)

    def wipe_redis(self) -> None:
        """Kill Redis and restart it without its files."""
        self.processes["redis"].pause()
        shutil.rmtree(self.folder / "redis")
        (self.folder / "redis").mkdir()
        self.processes["redis"].resume()

    def heal(self) -> None:
        """End every fault."""
        for proxy in self.proxies.values():
            proxy.set(Mode.PASS)
        for process in self.processes.values():
            process.resume()
            process.thaw()
        self.disk.empty()

    def logs(self) -> str:
        """Return the last lines of all logs."""
        return "\n".join(f"--- {log.stem}\n{log.read_text()[-1500:]}" for log in sorted(self.folder.glob("*.log")))
