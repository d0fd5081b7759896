"""An in-memory Docker engine with the part of the HTTP API that the driver uses."""

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.support.http_server import Handler, answering

CONTAINER = re.compile(r"^/containers/([^/]+)/(json|start|stop)$")


@dataclass
class FakeContainer:
    service: str
    number: int
    project: str = "tidepool"
    state: str = "running"
    status: str = "Up 2 minutes (healthy)"
    oneoff: str = "False"
    stop_timeout: int | None = 40
    prefix: str = ""
    without: str = ""

    @property
    def name(self) -> str:
        return f"{self.prefix}{self.project}-{self.service}-{self.number}"

    @property
    def id(self) -> str:
        return f"{self.service}{self.number}".ljust(64, "0")

    def listed(self) -> dict[str, Any]:
        labels = {"project": self.project, "service": self.service, "container-number": str(self.number)}
        labels |= {"oneoff": self.oneoff}
        labelled = {f"com.docker.compose.{name}": value for name, value in labels.items() if name != self.without}
        names = [f"/{self.name}"]
        return {"Id": self.id, "Names": names, "Labels": labelled, "State": self.state, "Status": self.status}


@dataclass
class FakeEngine:
    """`calls` are the requested changes. Stops wait for `stops_allowed`; with `broken`, lists respond with 500."""

    containers: list[FakeContainer]
    calls: list[str] = field(default_factory=list)
    queries: list[dict[str, list[str]]] = field(default_factory=list)
    stops_allowed: threading.Event = field(default_factory=threading.Event)
    broken: bool = False
    url: str = ""

    @contextmanager
    def served(self) -> Iterator[None]:
        """Serve over HTTP at `url`."""
        engine = self

        class Engine(Handler):
            def do_GET(self) -> None:
                self._answer(*engine.get(self.path))

            def do_POST(self) -> None:
                self._answer(*engine.post(self.path))

            def _answer(self, status: int, body: Any) -> None:
                self.answer(status, b"" if body is None else json.dumps(body).encode())

        with answering(Engine) as port:
            self.url = f"tcp://127.0.0.1:{port}"
            try:
                yield
            finally:
                self.stops_allowed.set()

    def get(self, path: str) -> tuple[int, Any]:
        parts = urlsplit(path)
        if self.broken:
            return 500, {"message": "broken"}
        if parts.path == "/containers/json":
            self.queries.append(parse_qs(parts.query))
            return 200, [container.listed() for container in self.containers]
        match = CONTAINER.match(parts.path)
        if match is None or match[2] != "json":
            return 403, None
        container = self._named(match[1])
        return 200, {"Config": {"Hostname": container.id[:12], "StopTimeout": container.stop_timeout}}

    def post(self, path: str) -> tuple[int, Any]:
        match = CONTAINER.match(urlsplit(path).path)
        if match is None or match[2] == "json":
            return 403, None
        self.calls.append(path)
        container = self._named(match[1])
        if match[2] == "stop":
            self.stops_allowed.wait(10)
        container.state = "running" if match[2] == "start" else "exited"
        return 204, None

    def _named(self, name: str) -> FakeContainer:
        return next(container for container in self.containers if container.name == name)
