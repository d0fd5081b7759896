"""The state as one value, opened from the environment by composition roots."""

from dataclasses import dataclass

from services.storage.access.keys import Keys
from services.storage.catalog.datasets import Datasets
from services.storage.catalog.models import Models
from services.storage.catalog.uploads import Uploads
from services.storage.database import Database
from services.storage.jobs.events import Events
from services.storage.jobs.jobs import Jobs
from services.storage.jobs.leases import Leases
from services.storage.jobs.parts import Parts
from services.storage.objects import Objects, S3Objects
from services.storage.pools.pools import Pools
from services.storage.pools.usage import Ledger
from services.storage.settings import DatabaseSettings, ObjectsSettings


@dataclass(frozen=True)
class Stores:
    """The database and the object store behind every service."""

    database: Database
    objects: Objects

    @classmethod
    def from_environment(cls) -> "Stores":
        """Nothing connects until the first query."""
        return cls(
            database=Database.connect(DatabaseSettings().url.get_secret_value()),
            objects=S3Objects(ObjectsSettings()),
        )

    @property
    def jobs(self) -> Jobs:
        return Jobs(self.database)

    @property
    def events(self) -> Events:
        return Events(self.database)

    @property
    def parts(self) -> Parts:
        return Parts(self.database)

    @property
    def leases(self) -> Leases:
        return Leases(self.database)

    @property
    def datasets(self) -> Datasets:
        return Datasets(self.database)

    @property
    def models(self) -> Models:
        return Models(self.database)

    @property
    def uploads(self) -> Uploads:
        return Uploads(self.database)

    @property
    def keys(self) -> Keys:
        return Keys(self.database)

    @property
    def pools(self) -> Pools:
        return Pools(self.database)

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.database)
