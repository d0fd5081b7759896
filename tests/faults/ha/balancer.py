"""HAProxy in front of the gateways and of the object store's gateways."""

from pathlib import Path

from tests.faults.ha import storage
from tests.faults.ha.machines import Network

GATEWAY_PORT = 8080


def write_configuration(network: Network, gateways: tuple[str, ...], ports: tuple[int, ...], file: Path) -> None:
    """Write what deploy/haproxy/haproxy.cfg says, for these addresses."""
    servers = [f"    server {name} {network[name].address}:{GATEWAY_PORT} check" for name in gateways]
    objects = [f"    server objects-{port} 127.0.0.1:{port} check" for port in ports]
    lines = [
        "global",
        "    maxconn 2000",
        "defaults",
        "    mode http",
        "    option redispatch",
        "    retries 3",
        "    timeout connect 1s",
        "    timeout client 1h",
        "    timeout server 1h",
        "    timeout http-request 10s",
        "    default-server inter 1s fastinter 300ms downinter 500ms fall 2 rise 1 on-marked-down shutdown-sessions",
        f"listen gateways\n    bind {network.address}:{GATEWAY_PORT}\n    option httpchk GET /readyz",
        *servers,
        f"listen objects\n    bind {network.address}:{storage.PORT}\n    option httpchk GET /",
        "    http-check expect status 200-499",
        *objects,
    ]
    file.write_text("\n".join(lines) + "\n")
