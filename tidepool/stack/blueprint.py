"""The plan of the embedded stack: which components, on which ports, in which order."""

import os
from collections.abc import Mapping
from pathlib import Path

from tidepool.errors import StackFailed
from tidepool.stack.broker import broker
from tidepool.stack.components import StackPlan
from tidepool.stack.credentials import Credentials
from tidepool.stack.home import Home
from tidepool.stack.object_store import object_store
from tidepool.stack.ports import HOST, free_ports, require_free
from tidepool.stack.services import WORKERS, Services
from tidepool.stack.shared_files import load_desired, save_desired

PORT_VARIABLE = "TIDEPOOL_PORT"
CERTIFICATE_VARIABLE = "TIDEPOOL_TLS_CERT"
DEFAULT_PORT = 8080
REPLICAS_VARIABLE = "TIDEPOOL_MAX_REPLICAS"
MOST_REPLICAS = 64
DEFAULT_REPLICAS = 4  # or the number of cores if larger; an unused replica costs only a port

SERVERS, INIT, BACKENDS, GATEWAY = range(4)  # the gateway starts last and stops first, so it can serve what it accepts


def draw_plan(home: Home, port: int, replicas: Mapping[str, int] | None = None) -> StackPlan:
    """Pick free ports, write the servers' configuration and the desired replicas, and lay out the components.

    `replicas` sets the number of workers by role. Other roles keep the number from the last run, or get one. Raises
    StackFailed if the port is in use or a role cannot have that many replicas.
    """
    scale = dict(replicas or {})
    if not (scale.keys() <= WORKERS.keys() and all(0 <= count <= MOST_REPLICAS for count in scale.values())):
        raise StackFailed(f"Only {', '.join(WORKERS)} can be scaled, to at most {MOST_REPLICAS} replicas each.")
    require_free(port)
    last = {role: len(indices) for role, indices in load_desired(home.replicas_file).items()}
    most = max(most_replicas(max(last.values(), default=0)), *scale.values(), 0)
    save_desired(home.replicas_file, {role: scale.get(role, min(last.get(role, 1), most)) for role in WORKERS})
    credentials = Credentials.of(home)
    redis_port, s3_port, *ports = free_ports(5 + most * len(WORKERS), exclude=port)
    storage_port, autoscaler_port, gateway_port, *worker_ports = ports
    services = Services(home, credentials, redis_port=redis_port, s3_port=s3_port)
    certificate = os.environ.get(CERTIFICATE_VARIABLE)
    url = f"{'https' if certificate else 'http'}://{HOST}:{port}"
    workers = ((role, index + 1) for role in WORKERS for index in range(most))
    return StackPlan(
        url=url,
        certificate=Path(certificate).absolute() if certificate else None,
        components=(
            broker(home, credentials, redis_port, stage=SERVERS),
            object_store(home, credentials, s3_port, stage=SERVERS),
            services.init(scale, stage=INIT),
            services.storage(storage_port, stage=BACKENDS),
            services.autoscaler(autoscaler_port, stage=BACKENDS),
            *(
                services.worker(role, index, metrics_port, stage=BACKENDS)
                for (role, index), metrics_port in zip(workers, worker_ports, strict=True)
            ),
            services.gateway(url, port, gateway_port, most_replicas=most, stage=GATEWAY),
        ),
    )


def most_replicas(last: int = 0) -> int:
    """Return the most replicas of a role: TIDEPOOL_MAX_REPLICAS, or the largest of 4, the cores, and `last`.

    `last` is how many ran last time. Raises StackFailed if the variable is invalid.
    """
    default = max(DEFAULT_REPLICAS, os.cpu_count() or 1, last)
    return _number(REPLICAS_VARIABLE, range(1, MOST_REPLICAS + 1)) or min(default, MOST_REPLICAS)


def configured_port() -> int:
    """Return TIDEPOOL_PORT, or 8080; raises StackFailed if it is not a port."""
    return _number(PORT_VARIABLE, range(1, 65536)) or DEFAULT_PORT


def _number(variable: str, allowed: range) -> int | None:
    """Return an environment variable's number, None if it is not set; raises StackFailed if it is not in `allowed`."""
    text = os.environ.get(variable)
    if not text:
        return None
    if not text.isdecimal() or int(text) not in allowed:
        raise StackFailed(f"{variable} is {text!r}; it must be a number from {allowed[0]} to {allowed[-1]}.")
    return int(text)
