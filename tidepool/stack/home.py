"""The folder of one embedded stack and the paths in it."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self

VARIABLE = "TIDEPOOL_HOME"


@dataclass(frozen=True)
class Home:
    """An absolute path without symbolic links, so that a stack has exactly one path."""

    path: Path

    @classmethod
    def at(cls, path: Path) -> Self:
        return cls(path.expanduser().resolve())

    @classmethod
    def from_environment(cls) -> Self:
        """Return the home in TIDEPOOL_HOME, or `.tidepool` in the current folder."""
        return cls.at(Path(os.environ.get(VARIABLE) or ".tidepool"))

    @property
    def run(self) -> Path:
        """Pid files, the plan, the reports and the desired replicas."""
        return self.path / "run"

    @property
    def logs(self) -> Path:
        return self.path / "log"

    @property
    def data(self) -> Path:
        """Everything that must survive: the database, the broker's append-only file, the objects."""
        return self.path / "data"

    @property
    def scratch(self) -> Path:
        """Temporary files of the services."""
        return self.path / "scratch"

    @property
    def sockets(self) -> Path:
        """The Unix sockets of replicas."""
        return self.run / "sockets"

    @property
    def key_file(self) -> Path:
        """The first admin key."""
        return self.path / "api-key"

    @property
    def secrets_file(self) -> Path:
        """The passwords of the stack's servers."""
        return self.path / "secrets.json"

    @property
    def plan_file(self) -> Path:
        return self.run / "plan.json"

    @property
    def state_file(self) -> Path:
        return self.run / "state.json"

    @property
    def replicas_file(self) -> Path:
        """The desired replicas."""
        return self.run / "replicas.json"

    @property
    def targets_file(self) -> Path:
        """The metrics ports of the running processes, for Prometheus."""
        return self.run / "prometheus-targets.json"

    @property
    def lock_file(self) -> Path:
        return self.run / "up.lock"

    def log(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    def pid(self, name: str) -> Path:
        return self.run / f"{name}.pid"

    def create(self) -> None:
        """Create the missing folders with mode 700."""
        for folder in (self.path, self.run, self.logs, self.data, self.scratch):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
