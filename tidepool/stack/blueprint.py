"""The plan of Tidepool's own embedded stack: which components, on which ports, in which order."""

import os
from collections.abc import Mapping

from tidepool.credentials import Credentials
from tidepool.errors import StackFailed
from tidepool.home import Home
from tidepool.stack.broker import broker
from tidepool.stack.components import Plan
from tidepool.stack.object_store import object_store
from tidepool.stack.ports import HOST, free_ports, require_free
from tidepool.stack.services import WORKERS, Services

PORT_VARIABLE = "TIDEPOOL_PORT"
DEFAULT_PORT = 8080
MOST_REPLICAS = 64

SERVERS, INIT, BEHIND, GATEWAY = range(4)  # the gateway starts last and stops first: whom it accepts, it can serve


def draw_plan(home: Home, port: int, replicas: Mapping[str, int] | None = None) -> Plan:
    """Pick free ports, write what the servers read, and lay out the components.

    `replicas` says how many workers of a role there shall be, one if it does not. Raises StackFailed if the port is
    taken or a role has no replicas.
    """
    counts = dict.fromkeys(WORKERS, 1) | dict(replicas or {})
    if counts.keys() != WORKERS.keys() or not all(1 <= count <= MOST_REPLICAS for count in counts.values()):
        raise StackFailed(f"Only {', '.join(WORKERS)} can be scaled, to 1 up to {MOST_REPLICAS} replicas each.")
    require_free(port)
    credentials = Credentials.of(home)
    redis_port, s3_port, storage_port, gateway_port, *worker_ports = free_ports(4 + sum(counts.values()), besides=port)
    services = Services(home, credentials, redis_port=redis_port, s3_port=s3_port)
    workers = ((role, index + 1) for role, count in counts.items() for index in range(count))
    return Plan(
        url=f"http://{HOST}:{port}",
        components=(
            broker(home, credentials, redis_port, stage=SERVERS),
            object_store(home, credentials, s3_port, stage=SERVERS),
            services.init(stage=INIT),
            services.storage(storage_port, stage=BEHIND),
            *(
                services.worker(role, index, metrics_port, stage=BEHIND)
                for (role, index), metrics_port in zip(workers, worker_ports, strict=True)
            ),
            services.gateway(port, gateway_port, stage=GATEWAY),
        ),
    )


def wanted_port() -> int:
    """TIDEPOOL_PORT, or 8080; raises StackFailed if it is no port."""
    text = os.environ.get(PORT_VARIABLE) or str(DEFAULT_PORT)
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise StackFailed(f"{PORT_VARIABLE} is {text!r}; it must be a number from 1 to 65535.")
    return int(text)
