"""The JSON files of a running stack: the state of each component, the desired replicas, and the targets of Prometheus.

The supervisor writes the reports and the targets; `up` writes the desired replicas at the start, the autoscaler later.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from pydantic import ValidationError

from contract.supervision import DESIRED, REPORTS, ComponentReport, DesiredReplicas
from tidepool.stack.components import Component
from tidepool.stack.files import write_private
from tidepool.stack.ports import HOST

METRICS_PORT = "TIDEPOOL_METRICS_PORT"


def save_reports(path: Path, reports: Iterable[ComponentReport]) -> None:
    write_private(path, REPORTS.dump_json(tuple(reports)).decode())


def load_reports(path: Path) -> tuple[ComponentReport, ...]:
    """Return the reports; empty if the file is missing or invalid."""
    try:
        return REPORTS.validate_json(path.read_bytes())
    except (FileNotFoundError, ValidationError):
        return ()


def save_desired(path: Path, counts: Mapping[str, int]) -> None:
    """Write how many replicas of each role should run: those with the lowest indices."""
    desired = {role: tuple(range(1, count + 1)) for role, count in counts.items()}
    write_private(path, DESIRED.dump_json(desired).decode())


def load_desired(path: Path) -> DesiredReplicas:
    """Return the indices of the desired replicas by role; empty if the file is missing or invalid."""
    try:
        return DESIRED.validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return {}


def save_targets(path: Path, components: Iterable[Component]) -> None:
    """Write where the metrics of these components are, as Prometheus reads it (`file_sd_configs`)."""
    targets = [
        {"targets": [f"{HOST}:{port}"], "labels": {"role": component.role, "replica": component.name}}
        for component in components
        if (port := component.environment.get(METRICS_PORT))
    ]
    write_private(path, json.dumps(targets, indent=1))


class DesiredReplicasFile:
    """The last valid content of the file; until there is one, every replica is desired."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._desired: DesiredReplicas = {}

    def reload(self) -> None:
        self._desired = load_desired(self._path) or self._desired

    def includes(self, component: Component) -> bool:
        indices = self._desired.get(component.role)
        return indices is None or component.index in indices
