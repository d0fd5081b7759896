"""What defines a job kind: its pool, its request with a spec, and the outcome of its handler."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field

from contract.backbones import BackboneManifest
from contract.base import Frozen
from contract.datasets import DatasetManifest
from contract.division import Outcome
from contract.pools import PoolName
from contract.training import ModelManifest


class Subject(NamedTuple):
    """The names of the dataset and the model that a job is about; job lists filter by them."""

    dataset: str | None = None
    model: str | None = None


@dataclass(frozen=True)
class Manifests:
    """The manifests of the versions that a spec refers to, by pinned reference (`name@version`)."""

    datasets: Mapping[str, DatasetManifest]
    models: Mapping[str, ModelManifest]
    backbones: Mapping[str, BackboneManifest] = field(default_factory=dict)


class JobSpec(Frozen):
    """The work of one job.

    Declare fields that refer to a stored dataset, model or upload as `DatasetReference`, `ModelReference` or
    `UploadId` (`contract.references`). When a job is submitted, the gateway looks up each reference, and pins datasets,
    models and backbones to a version.
    """

    @property
    def subject(self) -> Subject:
        return Subject()

    def check(self, manifests: Manifests) -> None:
        """Raise Invalid or BadModel if the pinned spec does not fit the versions that it refers to."""


class JobOptions(Frozen):
    priority: Annotated[int, Field(strict=True, ge=-100, le=100)] = 0
    deadline_s: Annotated[float, Field(strict=True, gt=0, le=30 * 86400)] | None = Field(
        default=None, description="Seconds from now after which the job expires."
    )


class KindRequest(JobOptions):
    """Base of the request models: a kind narrows `kind` to a literal and `spec` to its own model."""

    kind: str
    spec: JobSpec


STORAGE: Literal["storage"] = "storage"
"""In place of a pool, for the jobs that the storage process runs; clients can neither submit nor cancel them."""


@dataclass(frozen=True)
class Kind:
    """A job kind.

    `name` has at most 16 characters and is the value in requests, rows and metrics. `outcome` is what the handler
    returns at the end, `examples` are OpenAPI examples of the request: `summary` and `value`, by name. Jobs of a
    `child` kind are created by a job, not by clients.
    """

    name: str
    pool: PoolName | Literal["storage"]
    request: type[KindRequest]
    outcome: type[Outcome]
    examples: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    child: bool = False

    @property
    def submitted(self) -> bool:
        """Whether clients may submit such jobs."""
        return not (self.internal or self.child)

    @property
    def internal(self) -> bool:
        """Whether only the platform itself creates and runs such jobs."""
        return self.pool == STORAGE

    @property
    def spec(self) -> type[JobSpec]:
        annotation: Any = self.request.model_fields["spec"].annotation
        return annotation  # type: ignore[no-any-return]
