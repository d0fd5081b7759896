"""A pipeline says in words what starts its runs."""

from datetime import UTC, datetime

import pytest

from contract.pipelines import Pipeline, When


@pytest.mark.parametrize(
    ("when", "schedule", "starts"),
    [
        (When(), None, "when a person starts one"),
        (When(labels=1), None, "after 1 reviewed image"),
        (
            When(cron="0 3 * * *", drift=True),
            "At 03:00 every day",
            "at 03:00 every day (UTC), or when its requests drift",
        ),
    ],
)
def test_what_starts_a_run_is_said_in_words(when: When, schedule: str | None, starts: str) -> None:
    pipeline = Pipeline(
        name="nightly",
        model="pets",
        dataset="pets",
        when=when,
        schedule=schedule,
        paused=False,
        created_at=datetime(2026, 1, 31, tzinfo=UTC),
    )

    assert pipeline.starts == starts
