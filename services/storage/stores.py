"""The stores over the database and the object store: those of the instance, and those of a project."""

from dataclasses import dataclass

from contract.access import DEFAULT_PROJECT
from contract.backbones import BackboneManifest
from contract.errors import NotFound
from contract.projects import Quotas
from contract.references import Reference
from contract.training import ModelManifest
from services.storage.access.audit import Actor, Audit
from services.storage.access.keys import Keys
from services.storage.access.projects import Projects
from services.storage.access.sessions import Sessions
from services.storage.catalog.backbones import Backbones
from services.storage.catalog.datasets import Datasets
from services.storage.catalog.holdings import Holdings
from services.storage.catalog.models import Models
from services.storage.catalog.storage_usage import StorageUsages
from services.storage.catalog.uploads import Uploads
from services.storage.database import Database
from services.storage.jobs.children import Children
from services.storage.jobs.events import Events
from services.storage.jobs.jobs import Jobs
from services.storage.jobs.leases import Leases
from services.storage.jobs.parts import Parts
from services.storage.jobs.seats import Seats
from services.storage.objects import Objects, S3Objects
from services.storage.people.drift import Drift
from services.storage.people.feedback import Feedback
from services.storage.people.pipelines import Pipelines
from services.storage.people.reviews import Reviews
from services.storage.people.sampling import Sampling
from services.storage.people.sampling_counts import SamplingCounts
from services.storage.pools.pools import Pools
from services.storage.pools.traffic import Traffic
from services.storage.pools.usage import UsageLedger
from services.storage.settings import DatabaseSettings, ObjectsSettings


@dataclass(frozen=True)
class ProjectStores:
    """The stores of one project; at most `max_queued_jobs` jobs wait to run, None means no limit.

    Changes are recorded in the audit trail if an `actor` makes them. `quotas` bound what is submitted and uploaded.
    """

    project: str
    database: Database
    max_queued_jobs: int | None = None
    actor: Actor | None = None
    quotas: Quotas | None = None

    @property
    def jobs(self) -> Jobs:
        return Jobs(self.database, self.project, self.max_queued_jobs, self.actor, self.quotas)

    @property
    def events(self) -> Events:
        return Events(self.database, self.project)

    @property
    def datasets(self) -> Datasets:
        return Datasets(self.database, self.project, self.actor)

    @property
    def holdings(self) -> Holdings:
        """What may hold an image."""
        return Holdings(self.database, self.project)

    @property
    def models(self) -> Models:
        return Models(self.database, self.project, self.actor)

    @property
    def sampling(self) -> Sampling:
        """Which predictions go to the review queue."""
        return Sampling(self.database, self.project, self.actor)

    def sampling_counts(self, model: str, alias: str) -> SamplingCounts:
        """The counters by which gateways share the daily budget of an alias."""
        return SamplingCounts(self.database, self.project, model, alias)

    @property
    def backbones(self) -> Backbones:
        return Backbones(self.database, self.project, self.actor)

    def start(self, reference: Reference) -> tuple[Reference, BackboneManifest | ModelManifest]:
        """Resolve what a training starts from: a backbone that a person brought, or a model.

        Raises NotFound, or BadModel with the reason if the version was rejected.
        """
        if self.backbones.known(reference.name):
            return self.backbones.manifest(reference)
        if not self.models.known(reference.name):
            raise NotFound(f"there is no model or backbone {reference}; GET /v1/backbones lists the backbones")
        return self.models.manifest(reference)

    @property
    def uploads(self) -> Uploads:
        return Uploads(self.database, self.project, self.actor, self.quotas)

    @property
    def reviews(self) -> Reviews:
        """The images that people review."""
        return Reviews(self.database, self.project, self.actor)

    @property
    def feedback(self) -> Feedback:
        """What applications have learned about predicted images."""
        return Feedback(self.database, self.project)

    @property
    def drift(self) -> Drift:
        """What model versions have answered, compared with what they were validated with."""
        return Drift(self.database, self.project)

    @property
    def pipelines(self) -> Pipelines:
        """Automatic retraining."""
        return Pipelines(self.database, self.project, self.actor)

    @property
    def keys(self) -> Keys:
        return Keys(self.database, self.project, self.actor)

    @property
    def pools(self) -> Pools:
        """The pools, which all projects share."""
        return Pools(self.database, self.actor)

    @property
    def projects(self) -> Projects:
        """All projects, changed by the actor."""
        return Projects(self.database, self.actor)

    @property
    def audit(self) -> Audit:
        return Audit(self.database, self.project, self.actor)


@dataclass(frozen=True)
class Stores:
    """The stores of the whole instance; `of` returns those of a project."""

    database: Database
    objects: Objects

    @classmethod
    def from_environment(cls) -> "Stores":
        """Create the stores from the environment's settings; the first query connects."""
        return cls(
            database=Database.connect(DatabaseSettings().url.get_secret_value()),
            objects=S3Objects(ObjectsSettings()),
        )

    def of(
        self,
        project: str,
        max_queued_jobs: int | None = None,
        actor: Actor | None = None,
        quotas: Quotas | None = None,
    ) -> ProjectStores:
        """Return the stores of a project, which the caller knows to exist."""
        return ProjectStores(project, self.database, max_queued_jobs, actor, quotas)

    @property
    def traffic(self) -> Traffic:
        """The requests and jobs of the pools, from all projects."""
        return Traffic(self.database)

    @property
    def parts(self) -> Parts:
        return Parts(self.database)

    @property
    def children(self) -> Children:
        return Children(self.database)

    @property
    def seats(self) -> Seats:
        return Seats(self.database)

    @property
    def leases(self) -> Leases:
        return Leases(self.database)

    @property
    def keys(self) -> Keys:
        """Authenticates the keys of all projects, and changes those of the default one."""
        return Keys(self.database, DEFAULT_PROJECT)

    @property
    def projects(self) -> Projects:
        return Projects(self.database)

    @property
    def sessions(self) -> Sessions:
        return Sessions(self.database)

    @property
    def pools(self) -> Pools:
        return Pools(self.database)

    @property
    def storage(self) -> StorageUsages:
        """What the projects have in the object store."""
        return StorageUsages(self.database)

    @property
    def ledger(self) -> UsageLedger:
        return UsageLedger(self.database)
