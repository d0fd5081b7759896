"""The plan of Tidepool's own embedded stack: which components, on which ports, in which order."""

import os
from collections.abc import Mapping

from tidepool.errors import StackFailed
from tidepool.stack.broker import broker
from tidepool.stack.components import Plan
from tidepool.stack.credentials import Credentials
from tidepool.stack.home import Home
from tidepool.stack.object_store import object_store
from tidepool.stack.ports import HOST, free_ports, require_free
from tidepool.stack.replicas import load_wanted, save_wanted
from tidepool.stack.services import WORKERS, Services

PORT_VARIABLE = "TIDEPOOL_PORT"
DEFAULT_PORT = 8080
REPLICAS_VARIABLE = "TIDEPOOL_MAX_REPLICAS"
MOST_REPLICAS = 64
DEFAULT_REPLICAS = 4  # or as many as there are cores; what is not wanted costs a port

SERVERS, INIT, BEHIND, GATEWAY = range(4)  # the gateway starts last and stops first: whom it accepts, it can serve


def draw_plan(home: Home, port: int, replicas: Mapping[str, int] | None = None) -> Plan:
    """Pick free ports, write what the servers read and which replicas run first, and lay out the components.

    `replicas` says how many workers of a role there shall be from now on; those of other roles are as many as when the
    stack ran last, or one. Raises StackFailed if the port is taken or a role cannot have so many.
    """
    given = dict(replicas or {})
    if not (given.keys() <= WORKERS.keys() and all(0 <= count <= MOST_REPLICAS for count in given.values())):
        raise StackFailed(f"Only {', '.join(WORKERS)} can be scaled, to at most {MOST_REPLICAS} replicas each.")
    require_free(port)
    last = {role: len(indices) for role, indices in load_wanted(home.replicas_file).items()}
    most = max(most_replicas(max(last.values(), default=0)), *given.values(), 0)
    save_wanted(home.replicas_file, {role: given.get(role, min(last.get(role, 1), most)) for role in WORKERS})
    credentials = Credentials.of(home)
    redis_port, s3_port, *ports = free_ports(5 + most * len(WORKERS), besides=port)
    storage_port, autoscaler_port, gateway_port, *worker_ports = ports
    services = Services(home, credentials, redis_port=redis_port, s3_port=s3_port)
    workers = ((role, index + 1) for role in WORKERS for index in range(most))
    return Plan(
        url=f"http://{HOST}:{port}",
        components=(
            broker(home, credentials, redis_port, stage=SERVERS),
            object_store(home, credentials, s3_port, stage=SERVERS),
            services.init(given, stage=INIT),
            services.storage(storage_port, stage=BEHIND),
            services.autoscaler(autoscaler_port, stage=BEHIND),
            *(
                services.worker(role, index, metrics_port, stage=BEHIND)
                for (role, index), metrics_port in zip(workers, worker_ports, strict=True)
            ),
            services.gateway(port, gateway_port, most_replicas=most, stage=GATEWAY),
        ),
    )


def most_replicas(last: int = 0) -> int:
    """Of a role: TIDEPOOL_MAX_REPLICAS, or the most of 4, the cores, and those that ran last.

    Raises StackFailed if it is no number.
    """
    suitable = max(DEFAULT_REPLICAS, os.cpu_count() or 1, last)
    return _number(REPLICAS_VARIABLE, range(1, MOST_REPLICAS + 1)) or min(suitable, MOST_REPLICAS)


def wanted_port() -> int:
    """TIDEPOOL_PORT, or 8080; raises StackFailed if it is no port."""
    return _number(PORT_VARIABLE, range(1, 65536)) or DEFAULT_PORT


def _number(variable: str, allowed: range) -> int | None:
    """What an environment variable says; None where it is not set."""
    text = os.environ.get(variable)
    if not text:
        return None
    if not text.isdecimal() or int(text) not in allowed:
        raise StackFailed(f"{variable} is {text!r}; it must be a number from {allowed[0]} to {allowed[-1]}.")
    return int(text)
