"""Cron expressions, always in UTC."""

from datetime import UTC, datetime

from cronsim import CronSim, CronSimError

from contract.errors import Invalid

FIELDS = 5  # minute, hour, day, month, weekday; a sixth would be seconds


def next_time(cron: str, after: datetime) -> datetime:
    """Return the first time of a cron expression after a moment; raises Invalid."""
    try:
        if len(cron.split()) == FIELDS:
            return next(CronSim(cron, after.astimezone(UTC)))
    except (CronSimError, StopIteration):
        pass
    raise Invalid(
        f"when.cron: {cron!r} is not a cron expression; write minute, hour, day, month and weekday in UTC, as in "
        "'0 3 * * *' for 03:00 every day"
    )


def in_words(cron: str, now: datetime) -> str:
    """Return a valid cron expression in words, such as `At 03:00 every day`."""
    return str(CronSim(cron, now).explain())
