"""What the answers of people that are in no dataset version yet will change in the next one."""

from collections import Counter, defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field

from sqlalchemy import Connection, func, select

from services.storage.database import Database
from services.storage.people.queue import decided, home
from services.storage.tables import dataset_versions, review_items

MOST_LABELS = 12  # classes that are listed, those with the most changes


@dataclass
class NextVersion:
    """The changes of a dataset's next version, in images; `labels` are the classes that images get.

    `confirmed` answers repeat the label that the image has. `left_out` are samples of none of the classes.
    """

    dataset: str
    parent: int
    relabelled: int = 0
    added: int = 0
    removed: int = 0
    confirmed: int = 0
    left_out: int = 0
    labels: Counter[str] = field(default_factory=Counter)

    @property
    def changes(self) -> int:
        return self.relabelled + self.added + self.removed

    @property
    def most_labels(self) -> list[tuple[str, int]]:
        return self.labels.most_common(MOST_LABELS)


@dataclass(frozen=True)
class NextVersions:
    """Reads a project's decided reviews."""

    database: Database
    project: str

    def list(self) -> tuple[tuple[NextVersion, ...], int]:
        """Return the next versions by name of the dataset, and the number of answers that belong to no dataset."""
        table = review_items.c
        columns = (home().label("home"), table.dataset, table.label, table.label_now, table.not_any)
        items = select(*columns).where(decided(self.project)).subquery()
        groups = select(*items.c, func.count().label("images")).group_by(*items.c)
        by_dataset = defaultdict(list)
        with self.database.read() as connection:
            for row in connection.execute(groups):
                by_dataset[(row.home or "").partition("@")[0]].append(row)
            parents = self._newest(connection, by_dataset.keys())
        versions: dict[str, NextVersion] = {}
        for name, number in parents.items():
            versions[name] = version = NextVersion(name, number)
            for row in by_dataset[name]:
                count = _kind(row.dataset, row.label, row.label_now, row.not_any)
                setattr(version, count, getattr(version, count) + row.images)
                if count in {"added", "relabelled"}:
                    version.labels[row.label] += row.images
        homeless = sum(row.images for name, rows in by_dataset.items() if name not in parents for row in rows)
        return tuple(versions[name] for name in sorted(versions)), homeless

    def _newest(self, connection: Connection, names: Collection[str]) -> dict[str, int]:
        table = dataset_versions.c
        query = select(table.name, func.max(table.version)).where(table.project == self.project, table.name.in_(names))
        return dict(connection.execute(query.group_by(table.name)).all())


def _kind(dataset: str | None, label: str | None, label_now: str | None, not_any: bool) -> str:
    """Return the name of the count that an answer belongs to."""
    if not_any:
        return "left_out" if dataset is None else "removed"
    if dataset is None:
        return "added"
    return "confirmed" if label == label_now else "relabelled"
