"""Several model versions side by side, and the evaluations that judged them on the same images."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import or_, select

from contract.errors import BadModel, NotFound
from contract.references import Reference
from contract.training import ModelManifest
from services.storage.catalog.versions import manifest_of
from services.storage.database import Database
from services.storage.tables import model_versions


@dataclass(frozen=True)
class Compared:
    """A version to compare."""

    reference: str
    name: str
    version: int
    created_at: datetime
    manifest: ModelManifest


@dataclass(frozen=True)
class CompareScreen:
    """Reads versions of a project."""

    database: Database
    project: str

    def versions(self, references: Sequence[Reference]) -> tuple[Compared, ...]:
        """Return pinned versions in their order; raises NotFound, and BadModel for a rejected one."""
        table = model_versions.c
        chosen = [(table.name == one.name) & (table.version == one.version) for one in references]
        query = select(model_versions).where(table.project == self.project, or_(*chosen))
        with self.database.read() as connection:
            rows = {(row["name"], row["version"]): row for row in connection.execute(query).mappings()}
        compared = []
        for one in references:
            row = rows.get((one.name, one.version))
            if row is None:
                raise NotFound(f"there is no model {one}")
            if row["rejected"] is not None:
                raise BadModel(f"{one} was rejected: {row['rejected']}")
            compared.append(Compared(str(one), row["name"], row["version"], row["created_at"], manifest_of(row)))
        return tuple(compared)
