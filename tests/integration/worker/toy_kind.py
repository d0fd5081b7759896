"""A job kind from outside of the source tree: importing this module registers all that a kind needs."""

from datetime import datetime
from typing import Literal

from sqlalchemy import Connection

from contract.division import Outcome
from contract.errors import Invalid
from contract.jobs import Job
from contract.kinds import registry
from contract.kinds.kind import JobSpec, Kind, KindRequest, Manifests, Subject
from contract.references import DatasetReference, Reference
from services.storage.jobs import publication
from services.storage.jobs.publication import Columns, Publication
from worker.task import Task


class EchoSpec(JobSpec):
    """Count the classes of a dataset and repeat a text."""

    dataset: DatasetReference
    text: str

    @property
    def subject(self) -> Subject:
        return Subject(dataset=Reference.parse(self.dataset).name)

    def check(self, manifests: Manifests) -> None:
        if self.text in manifests.datasets[self.dataset].classes:
            raise Invalid(f"{self.text} is a class of {self.dataset}")


class EchoRequest(KindRequest):
    kind: Literal["echo"]
    spec: EchoSpec


class Echo(Outcome):
    text: str


def handle(task: Task) -> Echo:
    spec = EchoSpec.model_validate(task.job.spec)
    _, manifest = task.datasets.manifest(Reference.parse(spec.dataset))
    return Echo(text=f"{spec.text} {len(manifest.classes)}")


def publish(_connection: Connection, job: Job, echo: Echo, _now: datetime) -> Columns:
    return {"result": {"echo": echo.text, "dataset": job.spec["dataset"]}}


registry.register(Kind(name="echo", pool="preprocess", request=EchoRequest, outcome=Echo))
publication.register(Publication("echo", publish))
