"""A client of the Docker Engine API: list, inspect, start and stop the containers of one Compose project."""

import http.client
import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from contract.errors import Unavailable

LABEL = "com.docker.compose."
TIMEOUT_S = 10.0
GRACE_S = 40  # where Compose's file says nothing of it; a worker needs 35 s at most


@dataclass(frozen=True)
class Container:
    """One of the project's, as the engine lists it: `state` is `running`, `exited`, …, `status` says it in words."""

    name: str
    service: str
    number: int
    state: str
    status: str
    hostname: str


class Engine:
    """The Engine API over HTTP; every method raises Unavailable, also where a proxy forbids what it asks for."""

    def __init__(self, url: str, project: str) -> None:
        at = urlsplit(url)
        self._address = (at.hostname or "localhost", at.port or 2375)
        self._project = project

    def containers(self) -> list[Container]:
        """Those of the project's services, running or not, without those of `docker compose run`.

        Images have labels of Compose, too, and `docker run` gives them to its containers, but no number.
        """
        filters = json.dumps({"label": [f"{LABEL}project={self._project}"]})
        found = self._ask("GET", f"/containers/json?{urlencode({'all': '1', 'filters': filters})}")
        labelled = [(one, one.get("Labels") or {}) for one in found]
        return [
            Container(
                name=one["Names"][0].removeprefix("/"),
                service=labels[f"{LABEL}service"],
                number=int(labels[f"{LABEL}container-number"]),
                state=one["State"],
                status=one.get("Status", ""),
                hostname=one["Id"][:12],  # what Docker calls it where Compose's file does not
            )
            for one, labels in labelled
            if labels.get(f"{LABEL}project") == self._project
            and labels.get(f"{LABEL}oneoff") != "True"
            and f"{LABEL}container-number" in labels
        ]

    def grace_s(self, name: str) -> int:
        """Seconds from SIGTERM to SIGKILL, as Compose has set them."""
        grace = self._ask("GET", f"/containers/{quote(name)}/json")["Config"].get("StopTimeout")
        return GRACE_S if grace is None else int(grace)

    def start(self, name: str) -> None:
        """Also of one that runs already."""
        self._ask("POST", f"/containers/{quote(name)}/start")

    def stop(self, name: str, grace_s: int) -> None:
        """Return when it has ended, by itself or killed after its grace."""
        self._ask("POST", f"/containers/{quote(name)}/stop?t={grace_s}", TIMEOUT_S + grace_s)

    def _ask(self, method: str, path: str, timeout: float = TIMEOUT_S) -> Any:
        connection = http.client.HTTPConnection(*self._address, timeout=timeout)
        try:
            connection.request(method, path)
            response = connection.getresponse()
            body = response.read()
            if response.status not in {HTTPStatus.OK, HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED}:
                raise Unavailable(f"the Docker engine answered {response.status} to {method} {path.partition('?')[0]}")
            return json.loads(body) if body else None
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise Unavailable("the Docker engine does not answer") from error
        finally:
            connection.close()
