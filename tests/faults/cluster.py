"""A running Tidepool as the fault tests see it: its processes, the proxies before its servers, and its stores."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import redis

from services.storage.stores import Stores
from tests.faults.disk import Disk
from tests.faults.kept import Kept
from tests.faults.proxy import Mode, Proxy


@dataclass(frozen=True)
class Replica:
    """A worker process: its name, which begins with its pool, and the module it runs, with arguments."""

    name: str
    command: tuple[str, ...]

    @classmethod
    def of(cls, pool: str, number: int) -> "Replica":
        """One whose jobs behave by their names."""
        return cls(f"{pool}-{number}", ("tests.faults.worker", pool))


POOLS = ("preprocess", "trainer", "inference")
SERVICES = tuple(Replica(pool, (f"services.{pool}.main",)) for pool in POOLS)
REPLICAS = (Replica.of("preprocess", 1), Replica.of("preprocess", 2), Replica.of("trainer", 1))


@dataclass(frozen=True)
class Cluster:
    """What runs; `stores` reach the database and the object store past the proxies."""

    folder: Path
    url: str
    key: str
    dialect: str
    redis_url: str
    stores: Stores
    upload: str
    disk: Disk
    proxies: dict[str, Proxy]
    kept: dict[str, Kept]

    @property
    def workers(self) -> list[Kept]:
        return [kept for name, kept in self.kept.items() if name.startswith(POOLS)]

    @property
    def redis(self) -> "redis.Redis":
        """A client past the proxy, for the nemesis."""
        return redis.Redis.from_url(self.redis_url, socket_timeout=3, socket_connect_timeout=3)

    def wipe_redis(self) -> None:
        """kill -9, with its files deleted before it comes back."""
        self.kept["redis"].pause()
        shutil.rmtree(self.folder / "redis")
        (self.folder / "redis").mkdir()
        self.kept["redis"].resume()

    def heal(self) -> None:
        """End every fault."""
        for proxy in self.proxies.values():
            proxy.set(Mode.PASS)
        for kept in self.kept.values():
            kept.resume()
            kept.thaw()
        self.disk.empty()

    def logs(self) -> str:
        """The ends of all logs, for a test that fails."""
        return "\n".join(f"--- {log.stem}\n{log.read_text()[-1500:]}" for log in sorted(self.folder.glob("*.log")))
