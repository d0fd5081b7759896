"""What can be retrained by a pipeline: the aliases whose models were trained here."""

from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import select

from services.storage.database import Database
from services.storage.tables import alias_weights, model_versions

MOST = 200


class Target(NamedTuple):
    """An alias, and the name of the dataset that the version with most of its requests was trained on."""

    model: str
    alias: str
    dataset: str

    def __str__(self) -> str:
        return f"{self.model}@{self.alias}"


@dataclass(frozen=True)
class RetrainingScreen:
    """Reads a project's aliases."""

    database: Database
    project: str

    def targets(self) -> tuple[Target, ...]:
        """Return the aliases, those whose model has the newest version first, at most MOST."""
        shares, versions = alias_weights.c, model_versions.c
        same = versions.project == shares.project
        same &= (versions.name == shares.model) & (versions.version == shares.version)
        query = (
            select(shares.model, shares.alias, versions.dataset)
            .join(model_versions, same)
            .where(shares.project == self.project, versions.dataset.is_not(None))
            .order_by(versions.created_at.desc(), shares.weight.desc(), shares.alias.desc())
            .limit(MOST)
        )
        targets: dict[tuple[str, str], Target] = {}
        with self.database.read() as connection:
            for row in connection.execute(query):
                dataset = row.dataset.partition("@")[0]
                targets.setdefault((row.model, row.alias), Target(row.model, row.alias, dataset))
        return tuple(targets.values())
