"""The plan of the embedded stack: which components, on which ports, in which order."""

import os
from collections.abc import Mapping
from pathlib import Path

from tidepool.errors import StackFailed
from tidepool.stack.broker import broker
from tidepool.stack.components import StackPlan
from tidepool.stack.cores import own_cores
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
GATEWAYS_VARIABLE = "TIDEPOOL_GATEWAYS"
MOST_GATEWAYS = 64
PIN_VARIABLE = "TIDEPOOL_PIN_CORES"
MOST_CORES = 256  # of one replica
DEFAULT_REPLICAS = 4  # or the number of cores if larger; an unused replica costs only a port

SERVERS, INIT, BACKENDS, GATEWAY = range(4)  # the gateway starts last and stops first, so it can serve what it accepts


def draw_plan(
    home: Home, port: int, replicas: Mapping[str, int] | None = None, gateways: int = 1, pin: int = 0
) -> StackPlan:
    """Pick free ports, write the servers' configuration and the desired replicas, and lay out the components.

    `replicas` sets the number of workers by role. Other roles keep the number from the last run, or get one. `pin`
    gives each inference replica this many cores of its own, and each gateway one. Raises StackFailed if the port is in
    use, a role cannot have that many replicas, or cores cannot be pinned or are too few.
    """
    scale = dict(replicas or {})
    if not (scale.keys() <= WORKERS.keys() and all(0 <= count <= MOST_REPLICAS for count in scale.values())):
        raise StackFailed(f"Only {', '.join(WORKERS)} can be scaled, to at most {MOST_REPLICAS} replicas each.")
    require_free(port)
    last = {role: len(indices) for role, indices in load_desired(home.replicas_file).items()}
    most = max(most_replicas(max(last.values(), default=0)), *scale.values(), 0)
    counts: dict[str, int] = {role: scale.get(role, min(last.get(role, 1), most)) for role in WORKERS}
    cores = own_cores(gateways, counts["inference"], pin, _usable_cores()) if pin else None
    save_desired(home.replicas_file, counts)
    credentials = Credentials.of(home)
    redis_port, s3_port, *ports = free_ports(4 + 2 * gateways + most * len(WORKERS), exclude=port)
    storage_port, autoscaler_port, *ports = ports
    metrics_ports, own_ports, worker_ports = ports[:gateways], ports[gateways : 2 * gateways], ports[2 * gateways :]
    services = Services(home, credentials, redis_port=redis_port, s3_port=s3_port)
    certificate = os.environ.get(CERTIFICATE_VARIABLE)
    url = f"{'https' if certificate else 'http'}://{HOST}:{port}"
    workers = ((role, index + 1) for role in WORKERS for index in range(most))
    components = (
        broker(home, credentials, redis_port, stage=SERVERS),
        object_store(home, credentials, s3_port, stage=SERVERS),
        services.init(scale, stage=INIT),
        services.storage(storage_port, stage=BACKENDS),
        services.autoscaler(autoscaler_port, stage=BACKENDS),
        *(
            services.worker(role, index, metrics_port, stage=BACKENDS)
            for (role, index), metrics_port in zip(workers, worker_ports, strict=True)
        ),
        *services.gateways(
            url, port, list(zip(metrics_ports, own_ports, strict=True)), most_replicas=most, stage=GATEWAY
        ),
    )
    return StackPlan(
        url=url,
        certificate=Path(certificate).absolute() if certificate else None,
        components=tuple(map(cores.pinned, components)) if cores else components,
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


def configured_gateways() -> int:
    """Return TIDEPOOL_GATEWAYS, or 1; raises StackFailed if it is invalid."""
    return _number(GATEWAYS_VARIABLE, range(1, MOST_GATEWAYS + 1)) or 1


def configured_pin() -> int:
    """Return TIDEPOOL_PIN_CORES, or 0; raises StackFailed if it is invalid."""
    return _number(PIN_VARIABLE, range(MOST_CORES + 1)) or 0


def _usable_cores() -> set[int]:
    """Return the cores that this process may use; raises StackFailed where cores cannot be chosen, as on macOS."""
    if not hasattr(os, "sched_getaffinity"):
        raise StackFailed("This system cannot give processes cores of their own. Leave out --pin.")
    return os.sched_getaffinity(0)


def _number(variable: str, allowed: range) -> int | None:
    """Return an environment variable's number, None if it is not set; raises StackFailed if it is not in `allowed`."""
    text = os.environ.get(variable)
    if not text:
        return None
    if not text.isdecimal() or int(text) not in allowed:
        raise StackFailed(f"{variable} is {text!r}; it must be a number from {allowed[0]} to {allowed[-1]}.")
    return int(text)
