"""A stack's components and plan, as data that can be written to a file."""

import ssl
from pathlib import Path
from typing import Self

from pydantic import Field

from contract.base import Frozen, Positive, Whole
from tidepool.errors import UserFacingError
from tidepool.stack.files import write_private


class Component(Frozen):
    """One process to keep running, or to run `once`.

    It starts when all earlier stages are ready, and stops before them.
    """

    role: str
    index: Positive = 1
    stage: Whole
    command: tuple[str, ...]
    environment: dict[str, str] = Field(
        default={}, description="Added to the environment in which the stack was started."
    )
    probe: str | None = Field(default=None, description="A URL that answers once the component is ready.")
    once: bool = Field(default=False, description="Must exit with status 0 before the next stage starts.")
    grace: float = Field(default=10.0, description="Seconds from SIGTERM to SIGKILL.")
    cores: tuple[Whole, ...] = Field(default=(), description="The cores that it may use; all if empty.")

    @property
    def name(self) -> str:
        """The name of its pid file and log: `inference`, `inference-2`, …"""
        return self.role if self.index == 1 else f"{self.role}-{self.index}"


class StackPlan(Frozen):
    """The components that the supervisor runs, and the URL of the API."""

    url: str
    components: tuple[Component, ...]
    certificate: Path | None = Field(default=None, description="PEM file with the certificate of an `https://` URL.")

    @classmethod
    def load(cls, path: Path) -> Self:
        return cls.model_validate_json(path.read_text())

    def save(self, path: Path) -> None:
        write_private(path, self.model_dump_json())

    def trust(self) -> ssl.SSLContext | bool:
        """Return what a client of the API has to trust, for httpx; raises UserFacingError.

        With TLS, it is the certificate itself, whatever its names are: the API listens on the loopback address.
        """
        if self.certificate is None:
            return True
        try:
            context = ssl.create_default_context(cafile=self.certificate)
        except OSError as error:
            raise UserFacingError(f"The stack's certificate {self.certificate} cannot be read.") from error
        context.check_hostname = False
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        return context

    def stages(self) -> list[list[Component]]:
        """Return the components by stage, in the order in which they start."""
        numbers = sorted({component.stage for component in self.components})
        return [[component for component in self.components if component.stage == number] for number in numbers]

    def longest_stop(self) -> float:
        """Return the seconds that a stop takes at most: the longest grace period of each stage, summed."""
        return sum(max(component.grace for component in stage) for stage in self.stages())
