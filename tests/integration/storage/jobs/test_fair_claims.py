"""Whose job is claimed if several projects have some."""

from collections import Counter

import pytest
from sqlalchemy import insert, select

from contract.division import Division
from contract.jobs import JobKind, JobState
from contract.kinds.preprocess import PreprocessRequest
from contract.projects import NewProjectRequest, ProjectChange
from services.storage.access.projects import Projects
from services.storage.database import Database
from services.storage.jobs.jobs import Jobs
from services.storage.jobs.leases import Leases
from services.storage.jobs.parts import Parts
from services.storage.jobs.rows import LEASE, fresh
from services.storage.tables import claim_turns, jobs
from tests.examples import DATASET_MANIFEST, PREPROCESS_REQUEST, PREPROCESS_SPEC, TRAIN_REQUEST
from tests.integration.storage.steps import claimed, together
from tests.support.clock import FakeClock

BOTH = (JobKind.PREPROCESS, JobKind.INDEX)


@pytest.fixture
def projects(database: Database) -> Projects:
    """Projects, with a lab and a shop."""
    projects = Projects(database)
    projects.ensure_default()
    for name in ("lab", "shop"):
        projects.create(NewProjectRequest(name=name))
    return projects


def backlog(database: Database, project: str, count: int, priority: int = 0) -> None:
    """Queue preprocessing jobs."""
    common = {
        "project": project,
        "kind": JobKind.PREPROCESS,
        "spec": PREPROCESS_SPEC.model_dump(mode="json"),
        "priority": priority,
        "max_attempts": 3,
        "last_event": 1,
    }
    with database.write() as connection:
        connection.execute(insert(jobs), [fresh(database.now()) | common for _ in range(count)])


def served(leases: Leases, count: int) -> list[str]:
    """Claim jobs one after the other and finish each; return their projects."""
    names = []
    for _ in range(count):
        claim = claimed(leases)
        leases.finish(claim.lease, DATASET_MANIFEST)
        names.append(claim.job.project)
    return names


@pytest.mark.usefixtures("projects")
def test_a_long_backlog_does_not_delay_another_projects_job(database: Database, leases: Leases) -> None:
    # given a project with a thousand jobs, and some of them done
    backlog(database, "lab", 1000, priority=100)
    served(leases, 3)

    # when another project submits one, of low priority
    job = Jobs(database, "shop").create(PREPROCESS_REQUEST.model_copy(update={"priority": -100}))

    # then it is one of the next two
    assert "shop" in served(leases, 2)
    assert Jobs(database, "shop").get(job.id).state is JobState.SUCCEEDED


def test_claims_are_shared_by_the_weights_of_the_projects(
    database: Database, leases: Leases, projects: Projects
) -> None:
    for name in ("lab", "shop", "default"):
        backlog(database, name, 40)
    projects.change("lab", ProjectChange(weight=3))

    assert Counter(served(leases, 25)) == {"lab": 15, "shop": 5, "default": 5}


@pytest.mark.usefixtures("projects")
def test_replicas_are_shared_while_they_run_jobs(database: Database, leases: Leases, clock: FakeClock) -> None:
    # given four replicas that were all taken by one project, as there was no other
    backlog(database, "lab", 10)
    running = [claimed(leases) for _ in range(4)]
    backlog(database, "shop", 10)

    # when they become free one by one
    names = []
    for claim in running:
        leases.finish(claim.lease, DATASET_MANIFEST)
        names.append(claimed(leases).job.project)

    # then the other project gets the first two, and an expired lease does not count
    assert names[:2] == ["shop", "shop"]
    assert Counter(names) == {"lab": 2, "shop": 2}
    clock.tick(LEASE.total_seconds() + 1)
    assert len({claimed(leases).lease.job_id for _ in range(8)}) == 8


@pytest.mark.usefixtures("projects")
def test_priority_counts_within_a_project(database: Database, leases: Leases) -> None:
    made = {
        (project, priority): Jobs(database, project)
        .create(PreprocessRequest(kind="preprocess", spec=PREPROCESS_SPEC, priority=priority))
        .id
        for project in ("lab", "shop")
        for priority in (0, 9, 5)
    }

    names = {job: key for key, job in made.items()}
    order = [names[claimed(leases, JobKind.PREPROCESS).lease.job_id] for _ in made]

    for project in ("lab", "shop"):
        assert [priority for name, priority in order if name == project] == [9, 5, 0]
    assert [name for name, _ in order[:4]] == ["lab", "shop", "lab", "shop"]


@pytest.mark.usefixtures("projects")
def test_parts_count_for_the_project_of_their_job(database: Database, leases: Leases, parts: Parts) -> None:
    Jobs(database, "lab").create(PREPROCESS_REQUEST)
    parts.divide(claimed(leases).lease, Division(parts=tuple({"number": number} for number in range(6))))
    backlog(database, "shop", 3)

    names = [claimed(leases).job.project for _ in range(6)]

    assert Counter(names) == {"lab": 3, "shop": 3}


@pytest.mark.usefixtures("projects")
def test_turns_are_those_of_a_pool(database: Database, leases: Leases) -> None:
    # given claims for two projects in one pool
    for name in ("lab", "shop"):
        backlog(database, name, 3)
    served(leases, 4)

    # when one of them has work in another pool, alone
    Jobs(database, "lab").create(TRAIN_REQUEST)
    claimed(leases, JobKind.TRAIN)

    # then there are no turns for that pool
    with database.read() as connection:
        rows = connection.execute(select(claim_turns.c.pool, claim_turns.c.project)).all()
    assert {tuple(row) for row in rows} == {("preprocess", "lab"), ("preprocess", "shop")}


def test_a_deleted_project_leaves_no_turn(database: Database, projects: Projects) -> None:
    with database.write() as connection:
        connection.execute(insert(claim_turns), [{"pool": "trainer", "project": "shop", "turn": 1}])

    projects.delete("shop")

    with database.read() as connection:
        assert connection.execute(select(claim_turns)).all() == []


@pytest.mark.usefixtures("projects")
def test_workers_that_claim_at_the_same_time_share_by_project_too(database: Database, leases: Leases) -> None:
    backlog(database, "lab", 20)
    backlog(database, "shop", 20)

    claims = [claim for claim in together(8, lambda n: leases.claim(BOTH, f"worker-{n}")) if claim]

    assert len({claim.lease.job_id for claim in claims}) == len(claims) == 8
    assert {claim.lease.fence for claim in claims} == {1}
    assert Counter(claim.job.project for claim in claims) == {"lab": 4, "shop": 4}
