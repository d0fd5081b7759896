"""What a stack is made of, as data that can be written to a file."""

from pathlib import Path
from typing import Self

from pydantic import Field

from contract.base import Frozen, Positive, Whole
from tidepool.stack.files import write_private


class Component(Frozen):
    """One process to keep alive, or to run `once`.

    A component starts when all of the stages before its own are ready, and stops before them.
    """

    role: str
    index: Positive = 1
    stage: Whole
    command: tuple[str, ...]
    environment: dict[str, str] = Field(default={}, description="Added to the environment of who started the stack.")
    probe: str | None = Field(default=None, description="A URL that answers once it is ready.")
    once: bool = Field(default=False, description="It must end with 0 before the next stage starts.")
    grace: float = Field(default=10.0, description="Seconds from SIGTERM to SIGKILL.")

    @property
    def name(self) -> str:
        """`inference`, `inference-2`, …: the name of its pid file and its log."""
        return self.role if self.index == 1 else f"{self.role}-{self.index}"


class Plan(Frozen):
    """The components that the supervisor keeps running, and where the stack answers."""

    url: str
    components: tuple[Component, ...]

    @classmethod
    def load(cls, path: Path) -> Self:
        return cls.model_validate_json(path.read_text())

    def save(self, path: Path) -> None:
        write_private(path, self.model_dump_json())

    def stages(self) -> list[list[Component]]:
        """The components by stage, in the order in which they start."""
        numbers = sorted({component.stage for component in self.components})
        return [[one for one in self.components if one.stage == number] for number in numbers]

    def longest_stop(self) -> float:
        """Seconds after which the last component has been killed if none stops by itself."""
        return sum(max(component.grace for component in stage) for stage in self.stages())
