"""Claims, counts, lists, wake-up messages and repairs find their rows by an index, so they stay fast with many jobs."""

from collections.abc import Callable

import pytest
from sqlalchemy import insert

from contract.access import DEFAULT_PROJECT
from contract.jobs import JobKind, JobState
from services.storage.database import Database
from services.storage.jobs.events import Events
from services.storage.jobs.jobs import JobFilter, Jobs
from services.storage.jobs.leases import Leases
from services.storage.jobs.rows import fresh
from services.storage.pools.pools import Pools
from services.storage.screens.jobs import JobQuery, JobScreens
from services.storage.screens.live_jobs import LiveJobs
from services.storage.screens.shell import ShellReader
from services.storage.sweep.reconciler import Reconciler
from services.storage.tables import jobs
from tests.examples import PREPROCESS_REQUEST, PREPROCESS_SPEC, TRAIN_REQUEST
from tests.integration.storage.steps import claimed, query_plans

PAGE = 20
SORTS = ("Sort", "TEMP B-TREE")


@pytest.fixture(autouse=True)
def backlog(database: Database) -> None:
    """Some queued jobs."""
    common = {
        "project": DEFAULT_PROJECT,
        "kind": JobKind.PREPROCESS,
        "spec": PREPROCESS_SPEC.model_dump(mode="json"),
        "priority": 0,
        "max_attempts": 3,
        "last_event": 1,
    }
    with database.write() as connection:
        connection.execute(insert(jobs), [fresh(database.now()) | common for _ in range(3)])


def of_jobs(plans: dict[str, str]) -> dict[str, str]:
    """The plans of the statements that read the table of jobs."""
    return {statement: plan for statement, plan in plans.items() if "jobs" in plan}


def assert_indexed(plans: dict[str, str]) -> None:
    for statement, plan in of_jobs(plans).items():
        lines = [line.strip(" ->") for line in plan.splitlines()]
        scans = [line for line in lines if line.startswith(("SCAN jobs", "Seq Scan on jobs")) and "USING" not in line]
        assert not scans, f"{statement}\n{plan}"


def test_a_claim_reads_the_first_due_job_of_each_project(database: Database, leases: Leases) -> None:
    plans = query_plans(database, lambda: claimed(leases))

    candidates = [plan for statement, plan in plans.items() if "candidate" in statement]
    assert len(candidates) == 2  # the first jobs, and the claim
    for plan in candidates:
        assert "ix_jobs_due" in plan
        assert not any(word in plan for word in SORTS)
    assert any("ix_jobs_lease_until" in plan for plan in candidates)
    assert_indexed(plans)


@pytest.mark.parametrize(
    ("where", "index"),
    [
        (JobFilter(), "ix_jobs_list"),
        (JobFilter(kind=JobKind("train")), "ix_jobs_list_kind"),
        (JobFilter(state=JobState.FAILED), "ix_jobs_list_state"),
        (JobFilter(kind=JobKind("train"), state=JobState.FAILED), "ix_jobs_list_kind"),
        (JobFilter(model="cnn"), "ix_jobs_list_model"),
        (JobFilter(model="cnn", state=JobState.FAILED), "ix_jobs_list_model"),
        (JobFilter(dataset="pets"), "ix_jobs_list_dataset"),
    ],
)
@pytest.mark.parametrize("cursor", [None, "01900000-0000-7000-8000-000000000000"])
# PostgreSQL chooses by what it knows of the values, and there are none.
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_lists_are_read_in_the_order_of_an_index(
    database: Database, where: JobFilter, index: str, cursor: str | None
) -> None:
    plans = of_jobs(query_plans(database, lambda: Jobs(database, DEFAULT_PROJECT).list(where, PAGE, cursor)))

    for plan in plans.values():
        assert f"USING INDEX {index} (" in plan
        assert not any(word in plan for word in SORTS)


@pytest.mark.parametrize(
    "action",
    [
        lambda database: Pools(database).queues(),
        lambda database: Reconciler(database).oldest_queued_seconds(),
        lambda database: Reconciler(database).repair(),
        lambda database: Reconciler(database).relay(lambda *_: None),
        lambda database: Jobs(database, DEFAULT_PROJECT, most_queued=100).create(TRAIN_REQUEST),
        lambda database: Jobs(database, DEFAULT_PROJECT).create(PREPROCESS_REQUEST),
        lambda database: Events(database, DEFAULT_PROJECT).latest(["a", "b"]),
        lambda database: Events(database, DEFAULT_PROJECT).after("a", 0),
        lambda database: LiveJobs(database, DEFAULT_PROJECT).list(),
        lambda database: ShellReader(database, DEFAULT_PROJECT).counts(),
        lambda database: JobScreens(database, DEFAULT_PROJECT).page(JobQuery(state="live"), PAGE),
    ],
)
def test_what_is_done_every_second_reads_no_whole_table(
    database: Database, action: Callable[[Database], object]
) -> None:
    assert_indexed(query_plans(database, lambda: action(database)))


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_counts_of_the_header_do_not_read_every_queued_job(database: Database) -> None:
    plans = of_jobs(query_plans(database, lambda: ShellReader(database, DEFAULT_PROJECT).counts()))

    assert any("ix_jobs_live_children" in plan for plan in plans.values())
    assert not any("ix_jobs_due" in plan for plan in plans.values())
