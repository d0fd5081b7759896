"""The storage process: what `init` prepares, and what each pass of `sweep` does."""

import json
import threading
from collections.abc import Iterable
from typing import Any

import pytest
import redis as redis_client
from prometheus_client import REGISTRY

from contract.access import DEFAULT_PROJECT
from contract.artifacts import Bucket, attempt_prefix, upload_key
from contract.errors import Unauthenticated
from contract.jobs import JobKind, JobState
from contract.pools import POOL_NAMES, AutoPool, Measured, PoolMode
from contract.projects import NewProjectRequest
from services.storage.access.keys import Keys, new_token
from services.storage.access.projects import Projects
from services.storage.access.rights import OBJECTS, bucket_policies, object_policy
from services.storage.catalog.uploads import Uploads
from services.storage.database import Database
from services.storage.jobs.jobs import Jobs
from services.storage.jobs.leases import Leases
from services.storage.objects import S3Objects
from services.storage.pools import history
from services.storage.pools.pools import Pools
from services.storage.settings import ObjectsSettings
from services.storage.sweep import loops
from services.storage.sweep.loops import collect, purge, sweep
from services.storage.sweep.main import main
from services.storage.sweep.preparation import init
from services.storage.sweep.purge import Purger
from services.storage.sweep.retention import RetentionSweep
from tests.examples import PREPROCESS_REQUEST
from tests.integration.storage.steps import claimed
from tests.support.servers import S3Server, Server, free_port

TOKEN = new_token()
UNMEASURED = Measured(at=0.0, ready=None, waiting=None, running=None)
QUEUE = JobKind.PREPROCESS.pool


class Passes(threading.Event):
    """An event that stops a sweep after `count` passes without waiting."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self._left = count

    def wait(self, timeout: float | None = None) -> bool:
        self._left -= 1
        return self._left < 0


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, database_url: str, s3: S3Server, redis: Server) -> None:
    monkeypatch.setenv("TIDEPOOL_DATABASE_URL", database_url)
    monkeypatch.setenv("TIDEPOOL_S3_ENDPOINT", s3.url)
    monkeypatch.setenv("TIDEPOOL_S3_ACCESS_KEY", s3.access_key)
    monkeypatch.setenv("TIDEPOOL_S3_SECRET_KEY", s3.secret_key)
    monkeypatch.setenv("TIDEPOOL_S3_BUCKET_PREFIX", "init-")
    monkeypatch.setenv("TIDEPOOL_BROKER_URL", redis.url)
    monkeypatch.setenv("TIDEPOOL_ADMIN_KEY", TOKEN)
    monkeypatch.setenv("TIDEPOOL_COLLECT_GRACE_S", "0")


@pytest.fixture
def queue(redis: Server) -> redis_client.Redis:
    """The broker with an empty queue."""
    client = redis_client.Redis.from_url(redis.url)
    client.delete(QUEUE)
    return client


def test_preparing_a_deployment_twice_is_harmless(database_url: str) -> None:
    for _ in range(2):
        init()

    database = Database.connect(database_url)
    assert [key.name for key in Keys(database, DEFAULT_PROJECT).list()] == ["admin"]
    assert [pool.name for pool in Pools(database).list()] == list(POOL_NAMES)
    objects = S3Objects(ObjectsSettings())
    assert objects.read(objects.put(Bucket.JOBS, "x", b"hello")) == b"hello"


def test_the_scale_in_the_environment_replaces_earlier_settings(
    monkeypatch: pytest.MonkeyPatch, database_url: str
) -> None:
    init()
    pools = Pools(Database.connect(database_url))
    pools.set_auto("inference", AutoPool(mode=PoolMode.AUTO, min=3, max=4), UNMEASURED)
    monkeypatch.setenv("TIDEPOOL_SCALE", '{"inference": 2, "trainer": 0}')

    init()

    sizes = {pool.name: (pool.mode, pool.desired) for pool in pools.list()}
    manual = PoolMode.MANUAL
    assert sizes == {"preprocess": (manual, 1), "trainer": (manual, 0), "inference": (manual, 2)}


def test_an_invalid_admin_key_ends_init(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEPOOL_ADMIN_KEY", "password")

    with pytest.raises(Unauthenticated):
        init()


def test_a_sweep_sends_wake_up_messages(database: Database, queue: redis_client.Redis) -> None:
    for _ in range(2):
        Jobs(database, DEFAULT_PROJECT).create(PREPROCESS_REQUEST)

    sweep(Passes(1))

    assert queue.llen(QUEUE) == 2


def test_a_sweep_repairs_and_measures(database: Database, queue: redis_client.Redis) -> None:
    # given jobs of the past, by the fake clock, of which one is past its deadline
    jobs = Jobs(database, DEFAULT_PROJECT)
    late = jobs.create(PREPROCESS_REQUEST.model_copy(update={"deadline_s": 60}))
    jobs.create(PREPROCESS_REQUEST)

    # when
    sweep(Passes(1))

    # then
    assert jobs.get(late.id).state == JobState.EXPIRED
    for repair in ("expired", "woken", "requeued", "failed", "cancelled"):
        assert REGISTRY.get_sample_value("tidepool_repairs_total", {"repair": repair}) is not None
    oldest = REGISTRY.get_sample_value("tidepool_oldest_queued_seconds", {"pool": "preprocess", "kind": "preprocess"})
    assert oldest is not None
    assert oldest > 60
    assert REGISTRY.get_sample_value("tidepool_queued_jobs", {"pool": "preprocess"}) == 1
    assert (REGISTRY.get_sample_value("tidepool_redis_used_bytes") or 0) > 0


def test_a_sweep_repairs_although_a_queue_is_not_a_list(database: Database, queue: redis_client.Redis) -> None:
    queue.set(QUEUE, "text")
    late = Jobs(database, DEFAULT_PROJECT).create(PREPROCESS_REQUEST.model_copy(update={"deadline_s": 60}))

    sweep(Passes(1))

    assert Jobs(database, DEFAULT_PROJECT).get(late.id).state == JobState.EXPIRED
    queue.delete(QUEUE)


def test_no_error_ends_a_sweep(monkeypatch: pytest.MonkeyPatch, database: Database, queue: redis_client.Redis) -> None:
    passes: list[int] = []

    def fail(*_: object) -> None:
        passes.append(1)
        raise ZeroDivisionError

    monkeypatch.setattr(loops, "prune_audit", fail)
    monkeypatch.setattr(loops, "REPAIR_S", 0.0)
    monkeypatch.setattr(RetentionSweep, "apply", fail)
    monkeypatch.setattr(Purger, "work", fail)

    for loop in (sweep, collect, purge):
        loop(Passes(4))

    assert len(passes) >= 6


def test_a_sweep_deletes_old_changes_of_pools(
    monkeypatch: pytest.MonkeyPatch, database: Database, queue: redis_client.Redis
) -> None:
    monkeypatch.setattr(history, "KEPT", 1)
    pools = Pools(database)
    pools.ensure()
    for replicas in (2, 3):
        pools.set_manual("trainer", replicas, Measured(at=0.0, ready=1, waiting=0, running=0))

    sweep(Passes(1))

    assert [change.desired for change in pools.history("trainer", 10).items] == [3]


def test_unreferenced_objects_are_collected(monkeypatch: pytest.MonkeyPatch, database: Database) -> None:
    # given an object of an unknown job, and one of an attempt that may still be writing
    objects = S3Objects(ObjectsSettings())
    objects.make_buckets()
    objects.delete(Bucket.JOBS, "")
    running = Jobs(database, DEFAULT_PROJECT).create(PREPROCESS_REQUEST)
    lease = claimed(Leases(database)).lease
    stale = objects.put(Bucket.JOBS, attempt_prefix("gone", 1) + "x", b"x")
    kept = objects.put(Bucket.JOBS, attempt_prefix(running.id, lease.fence) + "x", b"x")
    before = REGISTRY.get_sample_value("tidepool_collected_objects_total") or 0.0

    # when the object store is away for the first of two passes
    with monkeypatch.context() as outage:
        outage.setenv("TIDEPOOL_S3_ENDPOINT", f"http://127.0.0.1:{free_port()}")
        collect(Passes(1))
    assert objects.read(stale) == b"x"
    collect(Passes(2))

    # then
    assert objects.prefixes(Bucket.JOBS) == [f"{running.id}/"]
    assert objects.read(kept) == b"x"
    assert REGISTRY.get_sample_value("tidepool_collected_objects_total") == before + 1


def test_a_project_is_purged(database: Database) -> None:
    # given a project with an object, to be deleted
    objects = S3Objects(ObjectsSettings())
    objects.make_buckets()
    projects = Projects(database)
    projects.create(NewProjectRequest(name="lab"))
    stored = objects.put(Bucket.UPLOADS, upload_key("an-upload", "lab"), b"PK")
    Uploads(database, "lab").add("a.zip", stored)
    job = projects.purge("lab")

    # when
    purge(Passes(2))

    # then
    assert Jobs(database, DEFAULT_PROJECT).get(job.id).state == JobState.SUCCEEDED
    assert objects.entries(Bucket.UPLOADS, "lab/") == []
    projects.create(NewProjectRequest(name="lab"))


def test_an_outage_delays_a_sweep(
    monkeypatch: pytest.MonkeyPatch, database: Database, queue: redis_client.Redis
) -> None:
    # given
    Jobs(database, DEFAULT_PROJECT).create(PREPROCESS_REQUEST)

    # when the database is away
    with monkeypatch.context() as outage:
        outage.setenv("TIDEPOOL_DATABASE_URL", f"postgresql+psycopg://tidepool@127.0.0.1:{free_port()}/postgres")
        sweep(Passes(2))
    assert queue.llen(QUEUE) == 0

    # then nothing is lost
    sweep(Passes(1))
    assert queue.llen(QUEUE) == 1


def test_the_policies_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    main("policies")

    printed = json.loads(capsys.readouterr().out)
    assert printed == {service: object_policy(service, "tidepool-") for service in OBJECTS}


def test_the_policies_of_buckets_say_the_same_as_those_of_services(capsys: pytest.CaptureFixture[str]) -> None:
    main("bucket-policies")

    printed = json.loads(capsys.readouterr().out)
    assert printed == bucket_policies("tidepool-")
    everything = [statement for policy in printed.values() for statement in policy["Statement"]]
    for service in OBJECTS:
        principal = {"AWS": [f"arn:aws:iam:::user/tidepool-{service}"]}
        given = rights(statement for statement in everything if statement["Principal"] == principal)
        # Ceph looks for the right to delete at the bucket
        bucket_deletions = {right for right in given if right[0] == "s3:DeleteObject" and not right[1].endswith("/*")}
        assert given - bucket_deletions == rights(object_policy(service, "tidepool-")["Statement"])
        assert {(action, f"{bucket}/*") for action, bucket in bucket_deletions} <= given


def rights(statements: Iterable[dict[str, Any]]) -> set[tuple[str, str]]:
    """The actions that statements permit, each with its resource."""
    return {(action, resource) for one in statements for action in one["Action"] for resource in one["Resource"]}
