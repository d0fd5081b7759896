"""A client of the Docker Engine API that lists, inspects, starts and stops the containers of one Compose project."""

import http.client
import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from contract.errors import Unavailable

LABEL = "com.docker.compose."
TIMEOUT_S = 10.0
GRACE_S = 40  # if the Compose file sets no grace period; a worker needs at most 35 s


@dataclass(frozen=True)
class Container:
    """A container as the engine lists it: `state` is `running`, `exited`, …, `status` describes it in words."""

    name: str
    service: str
    number: int
    state: str
    status: str
    hostname: str


class Engine:
    """The Engine API over HTTP. Every method raises Unavailable, also if a proxy forbids the request."""

    def __init__(self, url: str, project: str) -> None:
        parts = urlsplit(url)
        self._address = (parts.hostname or "localhost", parts.port or 2375)
        self._project = project

    def containers(self) -> list[Container]:
        """Return the containers of the project's services, running or not, except those of `docker compose run`.

        Images also have Compose's labels and pass them to containers of `docker run`, but without a number.
        """
        filters = json.dumps({"label": [f"{LABEL}project={self._project}"]})
        response = self._request("GET", f"/containers/json?{urlencode({'all': '1', 'filters': filters})}")
        labelled = [(container, container.get("Labels") or {}) for container in response]
        return [
            Container(
                name=container["Names"][0].removeprefix("/"),
                service=labels[f"{LABEL}service"],
                number=int(labels[f"{LABEL}container-number"]),
                state=container["State"],
                status=container.get("Status", ""),
                hostname=container["Id"][:12],  # Docker's default, if the Compose file sets none
            )
            for container, labels in labelled
            if labels.get(f"{LABEL}project") == self._project
            and labels.get(f"{LABEL}oneoff") != "True"
            and f"{LABEL}container-number" in labels
        ]

    def grace_s(self, name: str) -> int:
        """Return the seconds from SIGTERM to SIGKILL that Compose has set for the container."""
        grace = self._request("GET", f"/containers/{quote(name)}/json")["Config"].get("StopTimeout")
        return GRACE_S if grace is None else int(grace)

    def start(self, name: str) -> None:
        """Start a container; does nothing if it is running."""
        self._request("POST", f"/containers/{quote(name)}/start")

    def stop(self, name: str, grace_s: int) -> None:
        """Stop a container, killing it after the grace period; return when it has stopped."""
        self._request("POST", f"/containers/{quote(name)}/stop?t={grace_s}", TIMEOUT_S + grace_s)

    def _request(self, method: str, path: str, timeout: float = TIMEOUT_S) -> Any:
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
