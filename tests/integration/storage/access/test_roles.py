"""The roles of the services on PostgreSQL: they may change rows of the tables they need, and no tables."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import get_args

import pytest
from sqlalchemy import make_url, text
from sqlalchemy.exc import ProgrammingError

from contract.access import DEFAULT_PROJECT, Scope
from contract.artifacts import Bucket
from contract.errors import BadArchive, DatabaseUnavailable
from contract.jobs import JobKind, JobState
from contract.pools import Decision, Measured
from contract.projects import NewProjectRequest, ProjectChange, Retention, VersionRetention
from contract.reviews import FeedbackRequest, NewReview
from messaging.in_memory import MemoryReports
from services.storage.access.audit import Actor
from services.storage.access.keys import Keys
from services.storage.access.projects import Projects
from services.storage.access.rights import Service
from services.storage.access.roles import ensure_roles
from services.storage.database import Database
from services.storage.diagnosis import database_facts
from services.storage.jobs.jobs import JobFilter, Jobs
from services.storage.jobs.leases import Leases
from services.storage.memory_objects import MemoryObjects
from services.storage.migrate import migrate
from services.storage.people.removal import erase_reviews
from services.storage.people.rows import Reviewer
from services.storage.pools.demand import Demand
from services.storage.pools.pools import Pools
from services.storage.pools.queues import JobHolders
from services.storage.stores import Stores
from services.storage.sweep import reconciler
from services.storage.sweep.collector import Collector
from services.storage.sweep.meter import StorageMeter
from services.storage.sweep.purge import Purger
from services.storage.sweep.reconciler import Reconciler
from services.storage.sweep.retention import RetentionSweep
from tests.examples import PREPROCESS_REQUEST, TRAIN_REQUEST
from tests.integration.storage.filled import fill
from tests.integration.storage.steps import claimed
from tests.support.postgres_tables import wipe
from tests.support.servers import Server

READ = frozenset({Scope.READ})
SERVICES: tuple[Service, ...] = get_args(Service)
WORKERS = ("preprocess", "trainer", "inference")
UNSEEN = Measured(at=0.0, ready=None, waiting=None, running=None)

As = Callable[[str], Database]


@pytest.fixture(scope="module")
def owner(postgres: Server) -> Database:
    database = Database.connect(postgres.url)
    wipe(database)
    migrate(database)
    return database


@pytest.fixture(scope="module")
def connected_as(owner: Database, postgres: Server) -> As:
    """The database with the role of a service; roles are made twice, as by repeated `init`."""
    Pools(owner).ensure()
    at = make_url(postgres.url)
    urls = {
        service: at.set(username=f"{service}'s", password="p'w%s\"").render_as_string(hide_password=False)
        for service in SERVICES
    }
    for _ in range(2):
        ensure_roles(owner, urls)
    return lambda service: Database.connect(urls[service])  # type: ignore[index]


def refused(database: Database, statement: str) -> bool:
    with database.engine.connect() as connection:
        try:
            connection.execute(text(statement))
        except ProgrammingError as error:
            return "InsufficientPrivilege" in str(error)
    return False


def test_the_gateway_creates_keys_and_jobs_and_changes_pools(connected_as: As) -> None:
    database = connected_as("gateway")

    made = Keys(database, DEFAULT_PROJECT).create("laptop", READ)
    Jobs(database, DEFAULT_PROJECT).create(PREPROCESS_REQUEST)
    Pools(database).set_manual("trainer", 2, UNSEEN)

    assert made.id in {key.id for key in Keys(database, DEFAULT_PROJECT).list()}


def test_the_gateway_reads_the_migration_for_the_health_report(connected_as: As) -> None:
    facts = database_facts(connected_as("gateway"))

    assert facts.server.startswith("PostgreSQL ")
    assert facts.revision == facts.newest
    assert facts.clock is not None
    assert abs(facts.clock - datetime.now(UTC)) < timedelta(minutes=1)


@pytest.mark.parametrize("service", WORKERS)
def test_a_worker_claims_jobs(connected_as: As, service: str) -> None:
    job = Jobs(connected_as("gateway"), DEFAULT_PROJECT).create(PREPROCESS_REQUEST)
    leases = Leases(connected_as(service))

    claims = []
    while claim := leases.claim(JobKind.PREPROCESS, "worker:1"):
        claims.append(claim)
    for claim in claims:
        leases.release(claim.lease)
        Jobs(connected_as("gateway"), DEFAULT_PROJECT).cancel(claim.job.id)

    assert job.id in {claim.job.id for claim in claims}


def test_preprocessing_erases_reviews_with_their_feedback(connected_as: As) -> None:
    objects, sha256 = MemoryObjects(), "e" * 64
    own, gateway = Stores(connected_as("preprocess"), objects), Stores(connected_as("gateway"), objects)
    file = objects.put(Bucket.UPLOADS, "copy", b"x")
    gateway.of(DEFAULT_PROJECT).reviews.add(
        [NewReview(source="margin", model="pet-cnn", prediction="a-request", sha256=sha256, file=file)]
    )
    feedback = gateway.of(DEFAULT_PROJECT).feedback
    feedback.give(FeedbackRequest(prediction="a-request", label="cat"), Reviewer("0000000a", "app"))

    with own.database.write() as connection:
        assert erase_reviews(connection, DEFAULT_PROJECT, sha256) == 1


def test_workers_register_references_that_the_sweep_reads(connected_as: As) -> None:
    job = Jobs(connected_as("gateway"), DEFAULT_PROJECT).create(TRAIN_REQUEST)
    objects, leases = MemoryObjects(), Leases(connected_as("trainer"))
    lease = claimed(leases, JobKind.TRAIN).lease
    checkpoint = objects.put(Bucket.JOBS, f"{job.id}/attempts/0/checkpoint", b"x")
    leases.save_checkpoint(lease, checkpoint)

    assert Collector(connected_as("sweep"), objects, timedelta()).collect() == 0

    leases.fail(lease, BadArchive("the file is not a zip archive"))
    assert Collector(connected_as("sweep"), objects, timedelta()).collect() == 1


def test_the_autoscaler_measures_and_decides(connected_as: As) -> None:
    database = connected_as("autoscaler")
    pools = Pools(database)

    Demand(pools, MemoryReports()).measure()
    JobHolders(database).names()
    JobHolders(database).in_seats()
    (seen, *_) = pools.list()
    pools.decide(seen, Decision(replicas=1, reason="one"), UNSEEN)

    assert pools.record_created(seen, 3, UNSEEN, by_people=True).created == 3


def test_the_sweep_repairs(connected_as: As) -> None:
    job = Jobs(connected_as("gateway"), DEFAULT_PROJECT).create(PREPROCESS_REQUEST)
    own, woken = Reconciler(connected_as("sweep")), []

    own.repair()
    own.relay(lambda kind, job_id: woken.append((kind, job_id)))
    Pools(connected_as("sweep")).prune()

    assert (JobKind.PREPROCESS, job.id) in woken


class Repairs(threading.Event):
    """Instead of waiting, repair jobs, which ends those whose workers do not react to a cancellation."""

    def __init__(self, reconciler: Reconciler) -> None:
        super().__init__()
        self._reconciler = reconciler

    def wait(self, timeout: float | None = None) -> bool:
        self._reconciler.repair()
        return self.is_set()


def test_the_sweep_measures_applies_retention_and_purges(connected_as: As, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconciler, "CANCEL_WITHIN", timedelta())
    gateway, sweep, objects = connected_as("gateway"), connected_as("sweep"), MemoryObjects()
    for job in Jobs(gateway, DEFAULT_PROJECT).list(JobFilter(state=JobState.QUEUED), 100).items:  # of other tests
        Jobs(gateway, DEFAULT_PROJECT).cancel(job.id)
    projects = Projects(gateway, Actor("0123abcd", "ann", "a-request", DEFAULT_PROJECT))
    projects.create(NewProjectRequest(name="lab"))
    fill(Stores(gateway, objects), "lab")
    projects.change("lab", ProjectChange(retention=Retention(jobs_days=1, versions=VersionRetention(days=1))))

    StorageMeter(sweep, objects).measure()
    RetentionSweep(sweep, timedelta(days=1)).apply()
    job = projects.purge("lab")
    Purger(sweep, objects, Repairs(Reconciler(sweep))).work()

    assert Jobs(gateway, DEFAULT_PROJECT).get(job.id).state == "succeeded"
    assert objects.content == {}


@pytest.mark.parametrize("service", [*WORKERS, "sweep", "autoscaler"])
def test_only_the_gateway_reads_the_keys(connected_as: As, service: str) -> None:
    for statement in ("SELECT * FROM api_keys", "DELETE FROM api_keys", "UPDATE api_keys SET scopes = NULL"):
        assert refused(connected_as(service), statement)


@pytest.mark.parametrize("service", WORKERS)
def test_a_worker_cannot_scale_a_pool(connected_as: As, service: str) -> None:
    assert refused(connected_as(service), "UPDATE pools SET desired = 9")


def test_the_autoscaler_cannot_change_jobs(connected_as: As) -> None:
    assert refused(connected_as("autoscaler"), "UPDATE jobs SET state = 'queued'")
    assert refused(connected_as("autoscaler"), "SELECT * FROM models")


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize(
    "statement",
    [
        "DROP TABLE jobs",
        "ALTER TABLE jobs ADD COLUMN extra text",
        "TRUNCATE pools",
        "CREATE TABLE extra (id int)",
        "CREATE ROLE other",
        "DELETE FROM alembic_version",
        "COPY jobs TO PROGRAM 'id'",
    ],
)
def test_no_service_can_change_a_table(connected_as: As, service: str, statement: str) -> None:
    assert refused(connected_as(service), statement)


def test_an_owner_without_the_right_to_create_roles_gets_an_error(connected_as: As, postgres: Server) -> None:
    url = make_url(postgres.url).set(username="other", password="x").render_as_string(hide_password=False)
    with pytest.raises(DatabaseUnavailable):
        ensure_roles(connected_as("gateway"), {"trainer": url})
