"""A Docker engine that keeps its containers in memory, and speaks the part of its HTTP API that the driver needs."""

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
    """`calls` are the changes that were asked for; stops are answered once `let_go` is set, `broken` gives a 500."""

    containers: list[FakeContainer]
    calls: list[str] = field(default_factory=list)
    queries: list[dict[str, list[str]]] = field(default_factory=list)
    let_go: threading.Event = field(default_factory=threading.Event)
    broken: bool = False
    url: str = ""

    @contextmanager
    def served(self) -> Iterator[None]:
        """Over HTTP, at `url`."""
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
                self.let_go.set()

    def get(self, path: str) -> tuple[int, Any]:
        at = urlsplit(path)
        if self.broken:
            return 500, {"message": "broken"}
        if at.path == "/containers/json":
            self.queries.append(parse_qs(at.query))
            return 200, [container.listed() for container in self.containers]
        found = CONTAINER.match(at.path)
        if found is None or found[2] != "json":
            return 403, None
        container = self._named(found[1])
        return 200, {"Config": {"Hostname": container.id[:12], "StopTimeout": container.stop_timeout}}

    def post(self, path: str) -> tuple[int, Any]:
        found = CONTAINER.match(urlsplit(path).path)
        if found is None or found[2] == "json":
            return 403, None
        self.calls.append(path)
        container = self._named(found[1])
        if found[2] == "stop":
            self.let_go.wait(10)
        container.state = "running" if found[2] == "start" else "exited"
        return 204, None

    def _named(self, name: str) -> FakeContainer:
        return next(container for container in self.containers if container.name == name)
