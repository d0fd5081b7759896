"""A deployment on three machines: everything that runs, and clients' way to it."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from contract.access import DEFAULT_PROJECT
from contract.artifacts import Bucket
from services.storage.access.keys import new_token
from services.storage.database import Database
from services.storage.objects import S3Objects
from services.storage.stores import Stores
from tests.faults.cluster import Cluster, Replica
from tests.faults.disk import Disk
from tests.faults.ha import storage
from tests.faults.ha.balancer import GATEWAY_PORT, write_configuration
from tests.faults.ha.brokers import Brokers
from tests.faults.ha.databases import Databases
from tests.faults.ha.keys import own_keys, store
from tests.faults.ha.machines import Machine, Network, network
from tests.faults.ha.storage import Storage, start_storage
from tests.faults.proxy import ROOT
from tests.faults.start import MARK, end_all, prepare

GATEWAYS, SWEEPS = ("a", "b"), ("a", "b")
REPLICAS = {"a": ("preprocess-1",), "b": ("trainer-1",), "c": ("preprocess-2", "trainer-2")}
REDUNDANT_S = 180.0

Keys = Mapping[str, tuple[str, str]]


@dataclass(frozen=True)
class World:
    """The machines with what runs on them; `cluster` is how clients and observers see it."""

    network: Network
    databases: Databases
    brokers: Brokers
    storage: Storage
    cluster: Cluster

    def workers(self, machine: Machine) -> list[str]:
        """Return the names of the replicas on a machine."""
        return [name for name in machine.processes if name.startswith(("preprocess", "trainer"))]

    def wait_until_redundant(self) -> None:
        """Wait until the loss of any one machine can be survived again; raises TimeoutError."""
        deadline = time.monotonic() + REDUNDANT_S
        while not (self.databases.redundant() and self.brokers.redundant()):
            if time.monotonic() > deadline:
                states = f"{self.databases.states()}\n{self.brokers.states()}"
                raise TimeoutError(f"the machines are not redundant again\n{states}\n{self.cluster.logs()}")
            time.sleep(0.5)


@contextmanager
def world() -> Iterator[World]:
    """Run a deployment during the block; its gateways may not be ready yet. Needs root, HAProxy and Ceph."""
    folder = Path(tempfile.mkdtemp(prefix="tidepool-ha-"))
    folder.chmod(0o755)  # for the postgres user
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        stack.callback(end_all, str(folder))
        objects = start_storage(folder / "storage")
        stack.callback(objects.stop)
        machines = stack.enter_context(network(folder))
        write_configuration(machines, GATEWAYS, objects.ports, folder / "haproxy.cfg")
        _balance(stack, folder)
        databases, brokers = Databases(machines, folder / "postgres"), Brokers(machines, folder / "redis")
        brokers.start()
        databases.start()
        token = new_token()
        stores = _stores(databases.url, machines, objects)
        stack.callback(stores.database.engine.dispose)
        assert isinstance(stores.objects, S3Objects)
        prepare(stores, stores.objects, token)
        endpoint = f"http://{machines.address}:{storage.PORT}"
        keys = own_keys(objects, endpoint)
        environment = _environment(folder, databases.url, endpoint)
        for machine in machines.machines:
            _start_services(machine, environment, brokers, keys)
        archive = stores.objects.put(Bucket.UPLOADS, "archive", b"no archive")
        upload = stores.of(DEFAULT_PROJECT).uploads.add("archive.zip", archive).id
        cluster = Cluster(
            folder=folder,
            url=f"http://{machines.address}:{GATEWAY_PORT}",
            key=token,
            dialect="postgresql",
            redis_url="",
            # the buckets' owner may not read what the services write
            stores=Stores(stores.database, store(endpoint, keys["gateway"])),
            upload=upload,
            disk=Disk(folder, can_be_full=False),
            proxies={},
            processes={name: process for machine in machines.machines for name, process in machine.processes.items()},
        )
        yield World(machines, databases, brokers, objects, cluster)


def _start_services(machine: Machine, environment: dict[str, str], brokers: Brokers, keys: Keys) -> None:
    modules: dict[str, tuple[str, ...]] = {}
    if machine.name in GATEWAYS:
        modules[f"gateway-{machine.name}"] = ("services.gateway.main",)
    if machine.name in SWEEPS:
        modules[f"sweep-{machine.name}"] = ("services.storage.sweep.main", "sweep")
    for name in REPLICAS[machine.name]:
        pool, _, number = name.partition("-")
        modules[name] = Replica.of(pool, int(number)).command
    for name, module in modules.items():
        scratch = machine.folder / f"scratch-{name}"
        scratch.mkdir()
        service = name.partition("-")[0]
        own = {
            "TIDEPOOL_BROKER_URL": brokers.url(service),
            "TIDEPOOL_S3_ACCESS_KEY": keys[service][0],
            "TIDEPOOL_S3_SECRET_KEY": keys[service][1],
            "TIDEPOOL_HOST": machine.address,
            "TIDEPOOL_PORT": str(GATEWAY_PORT),
            "TIDEPOOL_SCRATCH": str(scratch),
        }
        machine.run(name, [sys.executable, "-m", *module], environment | own)


def _environment(folder: Path, database: str, endpoint: str) -> dict[str, str]:
    return {
        MARK: str(folder),
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        "TIDEPOOL_DATABASE_URL": database,
        "TIDEPOOL_S3_ENDPOINT": endpoint,
        "TIDEPOOL_COLLECT_S": "5",
        "TIDEPOOL_COLLECT_GRACE_S": "0",
    }


def _stores(database: str, machines: Network, objects: Storage) -> Stores:
    owner = objects.access_key, objects.secret_key
    return Stores(Database.connect(database), store(f"http://{machines.address}:{storage.PORT}", owner))


def _balance(stack: ExitStack, folder: Path) -> None:
    """Run HAProxy on this machine, which is the clients' side."""
    with (folder / "haproxy.log").open("ab") as log:
        command = ["haproxy", "-db", "-f", str(folder / "haproxy.cfg")]
        process = subprocess.Popen(command, stdout=log, stderr=log, env=dict(os.environ))
    stack.callback(process.wait)
    stack.callback(process.kill)
