"""The only place that runs the embedded stack for fault tests: its real supervisor, with jobs that behave by names."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from contract.access import DEFAULT_PROJECT
from contract.artifacts import Bucket
from services.storage.database import Database
from services.storage.objects import S3Objects
from services.storage.settings import ObjectsSettings
from services.storage.stores import Stores
from tests.faults.cluster import Cluster, Replica
from tests.faults.disk import Disk
from tests.servers import free_port
from tidepool.stack.blueprint import draw_plan
from tidepool.stack.components import Plan
from tidepool.stack.credentials import admin_key
from tidepool.stack.home import Home
from tidepool.stack.pidfile import PidFile
from tidepool.stack.stack import Stack

REPLICA = Replica.of("preprocess", 1)
LEFT_OUT = {"trainer", "inference"}


@dataclass(frozen=True)
class Embedded:
    """A stack as `tidepool up` starts it, and where it answers."""

    stack: Stack
    port: int

    def up(self) -> bool:
        """What `tidepool up` does; False if the stack was up."""
        return self.stack.up(self._plan)

    def process(self, name: str) -> psutil.Process:
        """The supervisor, or a component, as its pid file says."""
        process = PidFile(self.stack.home.pid(name)).process()
        assert process is not None, f"{name} is not running"
        return process

    def _plan(self) -> Plan:
        plan = draw_plan(self.stack.home, self.port)
        behaving = {"command": (sys.executable, "-m", *REPLICA.command)}
        components = tuple(
            component.model_copy(update=behaving) if component.role == "preprocess" else component
            for component in plan.components
            if component.role not in LEFT_OUT
        )
        return plan.model_copy(update={"components": components})


@contextmanager
def embedded(folder: Path) -> Iterator[tuple[Embedded, Cluster]]:
    """A stack that is up, and what a driver needs to know of it."""
    home = Home.at(folder)
    found = Embedded(Stack(home), free_port())
    try:
        found.up()
        stores = _stores(Plan.load(home.plan_file))
        archive = stores.objects.put(Bucket.UPLOADS, "archive", b"no archive")
        yield (
            found,
            Cluster(
                folder=home.logs,
                url=f"http://127.0.0.1:{found.port}",
                key=admin_key(home),
                dialect="sqlite",
                redis_url="",
                stores=stores,
                upload=stores.of(DEFAULT_PROJECT).uploads.add("archive.zip", archive).id,
                disk=Disk(home.scratch, can_be_full=False),
                proxies={},
                kept={},
            ),
        )
        stores.database.engine.dispose()
    finally:
        found.stack.down()


def _stores(plan: Plan) -> Stores:
    told = next(component.environment for component in plan.components if component.role == "gateway")
    names = ("endpoint", "access_key", "secret_key")
    objects = ObjectsSettings.model_validate({name: told[f"TIDEPOOL_S3_{name.upper()}"] for name in names})
    return Stores(Database.connect(told["TIDEPOOL_DATABASE_URL"]), S3Objects(objects))
