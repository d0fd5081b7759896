"""A gateway with the console in this process, over SQLite and objects in memory: quick to start, and easy to fill."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from contract.access import DEFAULT_PROJECT, Role
from messaging.in_memory import MemoryChannel, MemoryReports
from services.gateway.app import create_app, create_protocol
from services.gateway.dependencies import Backends
from services.gateway.serving.batching.batcher import Batcher
from services.gateway.serving.batching.lane import Bounds
from services.gateway.settings import GatewaySettings
from services.storage.access.audit import Actor
from services.storage.database import Database
from services.storage.memory_objects import MemoryObjects
from services.storage.stores import ProjectStores, Stores
from services.storage.tables import metadata
from tests.support.servers import free_port
from tests.unit.gateway.backends import classify, make_backends


@dataclass(frozen=True)
class Site:
    """A running gateway and its stores."""

    url: str
    stores: Stores
    objects: MemoryObjects
    backends: Backends

    @property
    def own(self) -> ProjectStores:
        """The stores of the default project."""
        return self.stores.of(DEFAULT_PROJECT, actor=Actor("0123abcd", "ada", "a-request", DEFAULT_PROJECT))

    def key(self, role: Role = Role.INSTANCE_ADMIN, project: str = DEFAULT_PROJECT, name: str = "ada") -> str:
        """Create a key; return its secret."""
        return self.stores.of(project).keys.create(name, role).secret

    def session(self, role: Role = Role.INSTANCE_ADMIN, project: str = DEFAULT_PROJECT, name: str = "ada") -> str:
        """Create a key and a session of it; return the session's token."""
        return self.stores.sessions.create(self.stores.of(project).keys.create(name, role).id)

    @property
    def cookie(self) -> str:
        """The name of the session's cookie."""
        return f"tidepool-{self.url.rpartition(':')[2]}"


@contextmanager
def running_site(folder: Path) -> Iterator[Site]:
    """Serve an empty instance."""
    database, objects = Database.connect(f"sqlite:///{folder / 'tidepool.db'}"), MemoryObjects()
    metadata.create_all(database.engine)
    stores, port = Stores(database, objects), free_port()
    settings = GatewaySettings(port=port)
    inference = Batcher(MemoryChannel(classify), Bounds())
    backends = make_backends(stores, inference, settings, MemoryReports())
    app, protocol = create_app(backends), create_protocol(backends)
    config = uvicorn.Config(
        app, http=protocol, ws="none", port=port, log_config=None, access_log=False, timeout_graceful_shutdown=1
    )  # type: ignore[arg-type]
    server = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()), daemon=True)
    thread.start()
    while not server.started:
        thread.join(0.01)
        assert thread.is_alive(), "the gateway did not start"
    try:
        yield Site(f"http://127.0.0.1:{port}", stores, objects, backends)
    finally:
        server.should_exit = True
        thread.join(10)
        database.engine.dispose()
