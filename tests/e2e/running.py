"""Start a stack for end-to-end tests with the command line, in a temporary home."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.servers import free_port
from tidepool.stack.home import Home
from tidepool.stack.status import status_of

TIDEPOOL = Path(sys.executable).with_name("tidepool")


@dataclass(frozen=True)
class Running:
    """A stack that is up."""

    home: Path
    url: str
    environment: dict[str, str]

    @property
    def key(self) -> str:
        return (self.home / "api-key").read_text().strip()

    def pid(self, role: str) -> int | None:
        """Return the pid from the pid file of a role, or None without a file."""
        file = self.home / "run" / f"{role}.pid"
        return int(file.read_text().split()[0]) if file.exists() else None

    def tidepool(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [TIDEPOOL, *arguments], env=self.environment, capture_output=True, text=True, timeout=120, check=False
        )

    def curl(self, *arguments: str) -> tuple[int, dict[str, object]]:
        command = ["curl", "-sS", "-w", "\n%{http_code}", "-H", f"Authorization: Bearer {self.key}", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
        body, _, status = done.stdout.rpartition("\n")
        return int(status), json.loads(body)

    def states(self, role: str) -> list[str]:
        """Return the states of a role's replicas in `tidepool status`, by index."""
        return [row.state for row in status_of(Home.at(self.home)).components if row.role == role]


@contextmanager
def started(home: Path, *scale: str, **settings: str) -> Iterator[Running]:
    """Run a stack during the block, with these variables."""
    port = free_port()
    environment = os.environ | {"TIDEPOOL_HOME": str(home), "TIDEPOOL_PORT": str(port)} | settings
    stack = Running(home, f"http://127.0.0.1:{port}", environment)
    up = stack.tidepool("up", *(f"--scale={count}" for count in scale))
    try:
        assert up.returncode == 0, up.stdout + up.stderr
        assert stack.url in up.stdout
        assert "api-key" in up.stdout
        yield stack
    finally:
        stack.tidepool("down")
