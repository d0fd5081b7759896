"""The file that says which replicas shall run: written by `up`, and from then on by the autoscaler."""

from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from contract.supervision import DESIRED, DesiredReplicas
from tidepool.stack.components import Component
from tidepool.stack.files import write_private


def save_wanted(path: Path, counts: Mapping[str, int]) -> None:
    """Want so many replicas of each role, those of the lowest indices."""
    wanted = {role: tuple(range(1, count + 1)) for role, count in counts.items()}
    write_private(path, DESIRED.dump_json(wanted).decode())


def load_wanted(path: Path) -> DesiredReplicas:
    """What was written last; empty if there is nothing that can be read."""
    try:
        return DESIRED.validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return {}


class Followed:
    """Which replicas are wanted, as the file says now or said last; all of them if it never said anything."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._wanted: DesiredReplicas = {}

    def look(self) -> None:
        """Read the file again."""
        self._wanted = load_wanted(self._path) or self._wanted

    def wants(self, component: Component) -> bool:
        indices = self._wanted.get(component.role)
        return indices is None or component.index in indices
