"""The whole of Tidepool as real processes on one machine, with a misbehaving proxy before every server."""

import os
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import redis

from contract.artifacts import Bucket
from contract.errors import TidepoolError
from runtime.stores import Stores
from services.storage.keys import new_token
from services.storage.migrate import migrate
from services.storage.objects import S3Objects
from services.storage.session import Database
from services.storage.settings import ObjectsSettings
from tests.faults.disk import Disk
from tests.faults.kept import Kept
from tests.faults.proxy import ROOT, Mode, Proxy
from tests.servers import free_port, postgres_server, redis_command, s3_command, s3_environment

START_S = 60.0
MARK = "TIDEPOOL_FAULTS"  # in the environment of every process of a cluster


@dataclass(frozen=True)
class Replica:
    """A worker process: which pool it serves, and which module it runs."""

    name: str
    command: tuple[str, ...]

    @classmethod
    def of(cls, pool: str, number: int) -> "Replica":
        """One whose jobs behave by their names."""
        return cls(f"{pool}-{number}", ("tests.faults.worker", pool))


SERVICES = tuple(Replica(pool, (f"services.{pool}.main",)) for pool in ("preprocess", "trainer", "inference"))
REPLICAS = (Replica.of("preprocess", 1), Replica.of("preprocess", 2), Replica.of("trainer", 1))


@dataclass
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
        return [kept for name, kept in self.kept.items() if name.startswith(("preprocess", "trainer", "inference"))]

    @property
    def redis(self) -> "redis.Redis":
        """A client past the proxy, for the nemesis."""
        return redis.Redis.from_url(self.redis_url, socket_timeout=3, socket_connect_timeout=3)

    def wipe_redis(self) -> None:
        """kill -9, with its files deleted before it comes back."""
        self.kept["redis"].pause()
        shutil.rmtree(self.folder / "redis" / "appendonlydir", ignore_errors=True)
        (self.folder / "redis" / "dump.rdb").unlink(missing_ok=True)
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
        return "\n".join(f"--- {kept.name}\n{kept.log.read_text()[-1500:]}" for kept in self.kept.values())


@contextmanager
def cluster(dialect: str, replicas: tuple[Replica, ...] = REPLICAS) -> Iterator[Cluster]:
    """A cluster on SQLite or PostgreSQL that answers; nothing of it is left afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="tidepool-faults-"))
    folder.chmod(0o755)  # for the postgres user
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        disk = stack.enter_context(Disk.mounted(folder / "disk"))
        stack.callback(_end_all, str(folder))
        yield _started(folder, dialect, replicas, disk, stack)


def _started(
    folder: Path, dialect: str, replicas: tuple[Replica, ...], disk: Disk, stack: ExitStack
) -> Cluster:
    behind = {"redis": free_port(), "s3": free_port()}
    direct = f"sqlite:///{disk.folder}/tidepool.db"
    if dialect == "postgresql":
        (folder / "postgres").mkdir()
        direct = stack.enter_context(postgres_server(folder / "postgres")).url
        behind["database"] = urlsplit(direct).port or 0
    proxies = {}
    for name, port in behind.items():
        proxies[name] = Proxy(free_port(), port)
        stack.callback(proxies[name].close)
    through = direct.replace(f":{behind.get('database')}/", f":{proxies['database'].port}/") if dialect != "sqlite" else direct

    password, access, secret, gateway = (*(secrets.token_hex(16) for _ in range(3)), free_port())
    token = new_token()
    environment = {
        MARK: str(folder),
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        "TIDEPOOL_DATABASE_URL": through,
        "TIDEPOOL_BROKER_URL": f"redis://:{password}@127.0.0.1:{proxies['redis'].port}/0",
        "TIDEPOOL_S3_ENDPOINT": f"http://127.0.0.1:{proxies['s3'].port}",
        "TIDEPOOL_S3_ACCESS_KEY": access,
        "TIDEPOOL_S3_SECRET_KEY": secret,
        "TIDEPOOL_SCRATCH": str(disk.folder / "scratch"),
        "TIDEPOOL_PORT": str(gateway),
        "TIDEPOOL_COLLECT_S": "5",
    }
    (disk.folder / "scratch").mkdir()
    (folder / "redis").mkdir()
    python = [sys.executable, "-m"]
    commands = {
        "redis": redis_command(folder / "redis", behind["redis"], password),
        "s3": s3_command(folder, behind["s3"]),
        "gateway": [*python, "services.gateway.main"],
        "sweep-1": [*python, "services.storage.main", "sweep"],
        "sweep-2": [*python, "services.storage.main", "sweep"],
        **{replica.name: [*python, *replica.command] for replica in replicas},
    }
    settings = {"endpoint": f"http://127.0.0.1:{behind['s3']}", "access_key": access, "secret_key": secret}
    stores = Stores(Database.connect(direct), S3Objects(ObjectsSettings.model_validate(settings)))
    stack.callback(stores.database.engine.dispose)
    everything = os.environ | environment | s3_environment(access, secret)
    kept: dict[str, Kept] = {}
    for name, command in commands.items():
        if name == "gateway":
            _prepare(stores, token)
        kept[name] = Kept(name, command, everything, folder, ROOT)
        stack.callback(kept[name].stop)
    made = stores.objects.put(Bucket.UPLOADS, "archive", b"no archive")
    return Cluster(
        folder=folder,
        url=f"http://127.0.0.1:{gateway}",
        key=token,
        dialect=dialect,
        redis_url=f"redis://:{password}@127.0.0.1:{behind['redis']}/0",
        stores=stores,
        upload=stores.uploads.add("archive.zip", made).id,
        disk=disk,
        proxies=proxies,
        kept=kept,
    )


def _prepare(stores: Stores, token: str) -> None:
    """What `storage init` does, as soon as the servers answer."""
    migrate(stores.database)
    stores.keys.ensure_admin(token)
    until = time.monotonic() + START_S
    while True:
        try:
            S3Objects.make_buckets(stores.objects)  # type: ignore[arg-type]
            return
        except TidepoolError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)


def _end_all(folder: str) -> None:
    """Kill what is left of a cluster's processes: attempts whose worker was killed, frozen ones."""
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.environ().get(MARK) == folder:
                process.kill()
        except psutil.Error:
            continue
