"""How the predictions of a model's aliases are sampled for reviews."""

from collections import defaultdict
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import func, select

from contract.sampling import ReviewSampling, SampledToday
from services.storage.database import Database
from services.storage.people.sampling import settings_of, today_of
from services.storage.tables import review_items, review_sampling, sampling_counts


class Sampled(NamedTuple):
    """The sampling of an alias, what it did today (UTC), and how many of its images wait for a person."""

    settings: ReviewSampling
    today: SampledToday
    waiting: int


@dataclass(frozen=True)
class SamplingScreen:
    """Reads a project's sampling."""

    database: Database
    project: str

    def of_model(self, model: str) -> dict[str, Sampled]:
        """Return the sampling of each alias of a model for which it is on."""
        settings, counts, items = review_sampling.c, sampling_counts.c, review_items.c
        today = (counts.project == self.project) & (counts.model == model) & (counts.day == self.database.now().date())
        open_items = (items.project == self.project) & (items.state == "open") & (items.model == model)
        with self.database.read() as connection:
            query = select(review_sampling).where(settings.project == self.project, settings.model == model)
            rows = connection.execute(query).mappings().all()
            counted: defaultdict[str, dict[str, int]] = defaultdict(dict)
            counters = select(counts.alias, counts.counter, counts.value).where(today, counts.label == "")
            for row in connection.execute(counters):
                counted[row.alias][row.counter] = row.value
            waiting = select(items.alias, func.count()).where(open_items, items.dataset.is_(None)).group_by(items.alias)
            numbers: dict[str, int] = {row[0]: row[1] for row in connection.execute(waiting)}
        return {
            row["alias"]: Sampled(settings_of(row), today_of(counted[row["alias"]]), numbers.get(row["alias"], 0))
            for row in rows
        }

    def sampled_aliases(self) -> frozenset[tuple[str, str]]:
        """Return model and alias of all sampling that is on."""
        columns = review_sampling.c
        query = select(columns.model, columns.alias).where(columns.project == self.project)
        with self.database.read() as connection:
            return frozenset((row.model, row.alias) for row in connection.execute(query))
