"""Yesterday's traffic of an alias, without which its first day of sampling begins with a burst."""

from datetime import timedelta

from contract.access import DEFAULT_PROJECT
from services.storage.database import Database
from services.storage.people.sampling_counts import SamplingCounts

DAY_S = 86_400


def had_traffic(database: Database, model: str, alias: str, per_s: int) -> None:
    """Let the alias have answered this many requests a second yesterday."""
    clock = database.now
    database.now = lambda: clock() - timedelta(days=1)
    SamplingCounts(database, DEFAULT_PROJECT, model, alias).sync({"seen": per_s * DAY_S})
    database.now = clock
