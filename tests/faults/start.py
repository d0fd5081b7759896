"""Starts a cluster and cleans up after it."""

import os
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from contract.access import DEFAULT_PROJECT
from contract.artifacts import Bucket
from contract.errors import TidepoolError
from messaging.redis_users import REDIS_USERS, acl_file, password_hashes
from services.storage.access.keys import new_token
from services.storage.database import Database
from services.storage.migrate import migrate
from services.storage.objects import S3Objects
from services.storage.settings import ObjectsSettings
from services.storage.stores import Stores
from tests.faults.cluster import REPLICAS, Cluster, Replica
from tests.faults.disk import Disk
from tests.faults.process import RestartedProcess
from tests.faults.proxy import ROOT, Proxy
from tests.support.servers import free_port, postgres_server, redis_command, s3_command, s3_environment
from tidepool.stack.broker import redis_server

START_S = 60.0
MARK = "TIDEPOOL_FAULTS"  # in the environment of every process of a cluster


@contextmanager
def cluster(
    dialect: str,
    replicas: tuple[Replica, ...] = REPLICAS,
    durable: bool = False,
    settings: Mapping[str, str] | None = None,
) -> Iterator[Cluster]:
    """Run a cluster on `sqlite` or `postgresql` during the block; its gateway may not be ready yet.

    With `durable`, the database syncs to this machine's disk and has no proxy. `settings` are
    added to the environment of every service.
    """
    folder = Path(tempfile.mkdtemp(prefix="tidepool-faults-"))
    folder.chmod(0o755)  # for the postgres user
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        disk = stack.enter_context(Disk.plain(folder / "disk") if durable else Disk.mounted(folder / "disk"))
        stack.callback(end_all, str(folder))
        yield _Start(folder, dialect, disk, durable, stack).cluster(replicas, settings or {})


class _Start:
    """Starts the parts of a cluster; the exit stack stops them."""

    def __init__(self, folder: Path, dialect: str, disk: Disk, durable: bool, stack: ExitStack) -> None:
        self._folder, self._dialect, self._disk, self._durable, self._stack = folder, dialect, disk, durable, stack
        self._proxies: dict[str, Proxy] = {}

    def cluster(self, replicas: tuple[Replica, ...], settings: Mapping[str, str]) -> Cluster:
        direct, through = self._database()
        ports = {"redis": free_port(), "s3": free_port(), "gateway": free_port()}
        passwords = {user: secrets.token_hex(16) for user in (*REDIS_USERS, "default")}
        access, secret, token = secrets.token_hex(16), secrets.token_hex(16), new_token()
        redis_proxy = self._proxy("redis", ports["redis"])
        environment = {
            MARK: str(self._folder),
            "PYTHONPATH": str(ROOT),
            "OMP_NUM_THREADS": "1",
            "TIDEPOOL_DATABASE_URL": through,
            "TIDEPOOL_S3_ENDPOINT": f"http://127.0.0.1:{self._proxy('s3', ports['s3'])}",
            "TIDEPOOL_S3_ACCESS_KEY": access,
            "TIDEPOOL_S3_SECRET_KEY": secret,
            "TIDEPOOL_SCRATCH": str(self._disk.folder),
            "TIDEPOOL_PORT": str(ports["gateway"]),
            "TIDEPOOL_COLLECT_S": "5",
            "TIDEPOOL_COLLECT_GRACE_S": "0",
            **settings,
        }
        servers = {
            "redis": self._redis(ports["redis"], passwords),
            "s3": s3_command(self._folder, ports["s3"]),
        }
        services = {
            "gateway": ("services.gateway.main",),
            "sweep-1": ("services.storage.sweep.main", "sweep"),
            "sweep-2": ("services.storage.sweep.main", "sweep"),
            **{replica.name: replica.command for replica in replicas},
        }
        everything = os.environ | environment | s3_environment(access, secret)
        processes = {name: self._run(name, command, everything) for name, command in servers.items()}
        s3 = {"endpoint": f"http://127.0.0.1:{ports['s3']}", "access_key": access, "secret_key": secret}
        objects = S3Objects(ObjectsSettings.model_validate(s3))
        stores = Stores(Database.connect(direct), objects)
        self._stack.callback(stores.database.engine.dispose)
        prepare(stores, objects, token)
        for name, module in services.items():
            user = name.partition("-")[0]
            broker = {"TIDEPOOL_BROKER_URL": f"redis://{user}:{passwords[user]}@127.0.0.1:{redis_proxy}/0"}
            processes[name] = self._run(name, [sys.executable, "-m", *module], everything | broker)
        archive = objects.put(Bucket.UPLOADS, "archive", b"no archive")
        return Cluster(
            folder=self._folder,
            url=f"http://127.0.0.1:{ports['gateway']}",
            key=token,
            dialect=self._dialect,
            redis_url=f"redis://:{passwords['default']}@127.0.0.1:{ports['redis']}/0",
            stores=stores,
            upload=stores.of(DEFAULT_PROJECT).uploads.add("archive.zip", archive).id,
            disk=self._disk,
            proxies=self._proxies,
            processes=processes,
        )

    def _database(self) -> tuple[str, str]:
        """Return the URL of the database, and the one for services, which may go through a proxy."""
        if self._dialect == "sqlite":
            url = f"sqlite:///{self._disk.folder}/tidepool.db"
            return url, url
        folder = self._folder / "postgres"
        folder.mkdir()
        url = self._stack.enter_context(postgres_server(folder, durable=self._durable)).url
        port = urlsplit(url).port or 0
        return url, url if self._durable else url.replace(f":{port}/", f":{self._proxy('database', port)}/")

    def _redis(self, port: int, passwords: Mapping[str, str]) -> list[str]:
        """Return the command of a Redis with the services' users; its user `default` is the tests' own."""
        (self._folder / "redis").mkdir()
        _, release = redis_server()
        _, *users = acl_file(password_hashes(passwords), release).splitlines()
        file = self._folder / "users.acl"
        file.write_text("\n".join([f"user default reset on >{passwords['default']} ~* &* +@all", *users]))
        return [*redis_command(self._folder / "redis", port, passwords["default"]), "--aclfile", str(file)]

    def _proxy(self, name: str, target: int) -> int:
        proxy = self._proxies[name] = Proxy(free_port(), target)
        self._stack.callback(proxy.close)
        return proxy.port

    def _run(self, name: str, command: list[str], environment: dict[str, str]) -> RestartedProcess:
        process = RestartedProcess(name, command, environment, self._folder)
        self._stack.callback(process.stop)
        return process


def prepare(stores: Stores, objects: S3Objects, token: str) -> None:
    """Initialize the stores as `storage init` does, when the servers are ready."""
    migrate(stores.database)
    stores.keys.ensure_admin(token)
    deadline = time.monotonic() + START_S
    while True:
        try:
            objects.make_buckets()
        except TidepoolError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return


def end_all(folder: str) -> None:
    """Kill remaining processes of a cluster, such as attempts of killed workers and frozen processes."""
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.environ().get(MARK) == folder:
                process.kill()
        except psutil.Error:
            continue
