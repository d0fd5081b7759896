"""Runs the embedded stack with its real supervisor and scripted jobs."""

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
from tests.support.servers import free_port
from tidepool.stack.blueprint import draw_plan
from tidepool.stack.components import StackPlan
from tidepool.stack.credentials import admin_key
from tidepool.stack.home import Home
from tidepool.stack.pidfile import PidFile
from tidepool.stack.stack import Stack

REPLICA = Replica.of("preprocess", 1)
LEFT_OUT = {"trainer", "inference"}


@dataclass(frozen=True)
class Embedded:
    """A stack started as by `tidepool up`, and the port of its gateway."""

    stack: Stack
    port: int

    def up(self) -> bool:
        """Start the stack as `tidepool up` does; False if it was already running."""
        return self.stack.up(self._plan)

    def process(self, name: str) -> psutil.Process:
        """Return the process of the supervisor or a component, from its pid file."""
        process = PidFile(self.stack.home.pid(name)).process()
        assert process is not None, f"{name} is not running"
        return process

    def _plan(self) -> StackPlan:
        plan = draw_plan(self.stack.home, self.port)
        scripted = {"command": (sys.executable, "-m", *REPLICA.command)}
        components = tuple(
            component.model_copy(update=scripted) if component.role == "preprocess" else component
            for component in plan.components
            if component.role not in LEFT_OUT
        )
        return plan.model_copy(update={"components": components})


@contextmanager
def embedded(folder: Path) -> Iterator[tuple[Embedded, Cluster]]:
    """Run a stack during the block; yields it and a cluster for `Driver`."""
    home = Home.at(folder)
    running = Embedded(Stack(home), free_port())
    try:
        running.up()
        stores = _stores(StackPlan.load(home.plan_file))
        archive = stores.objects.put(Bucket.UPLOADS, "archive", b"no archive")
        yield (
            running,
            Cluster(
                folder=home.logs,
                url=f"http://127.0.0.1:{running.port}",
                key=admin_key(home),
                dialect="sqlite",
                redis_url="",
                stores=stores,
                upload=stores.of(DEFAULT_PROJECT).uploads.add("archive.zip", archive).id,
                disk=Disk(home.scratch, can_be_full=False),
                proxies={},
                processes={},
            ),
        )
        stores.database.engine.dispose()
    finally:
        running.stack.down()


def _stores(plan: StackPlan) -> Stores:
    environment = next(component.environment for component in plan.components if component.role == "gateway")
    names = ("endpoint", "access_key", "secret_key")
    objects = ObjectsSettings.model_validate({name: environment[f"TIDEPOOL_S3_{name.upper()}"] for name in names})
    return Stores(Database.connect(environment["TIDEPOOL_DATABASE_URL"]), S3Objects(objects))
