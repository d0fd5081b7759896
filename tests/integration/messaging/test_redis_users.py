"""Each service works as its own Redis user, and that user may do nothing else."""

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import msgspec
import pytest
import redis as redis_py
from prometheus_client import REGISTRY

from contract.access import DEFAULT_PROJECT
from contract.artifacts import Bucket
from contract.errors import DeadlineExceeded
from contract.inference import Artifact, Batch, EncodedImage, Scores, Target
from contract.jobs import JobKind, JobState
from contract.kinds.preprocess import PreprocessRequest, PreprocessSpec
from contract.pools import POOL_NAMES, PoolName
from contract.references import Reference, UploadSource
from messaging import redis_keys, responder
from messaging.answering import BatchAnswers, BatchHandler
from messaging.broker import Broker, celery_app
from messaging.busy import Busy
from messaging.cordon import RedisCordon
from messaging.presence import Presence
from messaging.process_presence import ProcessPresence
from messaging.redis_channel import WATCH_S
from messaging.redis_memory import RedisMemory
from messaging.redis_users import PROBE, REDIS_USERS, RIGHTS, RedisUser
from messaging.reports import RedisReports
from messaging.responder import Responder
from services.storage.access.rights import Service
from services.storage.database import Database
from services.storage.objects import S3Objects
from tests.support.batcher import batcher
from tests.support.images import class_folders, encoded, zipped
from tests.support.onnx_models import random_images
from tests.support.prediction_data import publish_model
from tests.support.redis_users import RedisWithUsers, redis_with_users
from tests.support.replicas import Replicas
from tests.support.servers import S3Server

IMAGE = random_images(1)[0]
WITH_SCRIPTS = [user for user in REDIS_USERS if "eval" in RIGHTS[user].commands]
# The users that may use a key of each kind.
USERS_OF = {
    "preprocess": {"preprocess", "sweep"},
    "trainer": {"trainer", "sweep"},
    "inference": {"inference", "sweep"},
    "preprocess.host.1": {"preprocess"},
    "trainer.host.1": {"trainer"},
    "inference.host.1": {"inference"},
    "inference.batches": {"inference", "gateway"},
    "_kombu.binding.trainer": {"trainer", "sweep"},
    "_kombu.binding_permanent.inference": {"inference", "sweep"},
    "_kombu.binding.trainer.host.1": {"trainer"},
    "tidepool:inference:batches": {"inference", "gateway"},
    "tidepool:replies:1": {"inference", "gateway"},
    "tidepool:trainer:replicas": {"trainer", "gateway", "autoscaler"},
    "tidepool:preprocess:replicas:reports": {"preprocess", "gateway", "autoscaler"},
    "tidepool:inference:gateways": {"gateway", "autoscaler"},
    "tidepool:inference:gateways:reports": {"gateway", "autoscaler"},
    "tidepool:preprocess:left": {"preprocess"},
    "tidepool:inference:left": {"inference", "gateway"},
    "tidepool:trainer:cordoned": {"trainer", "autoscaler"},
    "tidepool:storage:processes": {"sweep", "gateway"},
    "tidepool:storage:processes:reports": {"sweep", "gateway"},
    "tidepool:autoscaler:processes": {"autoscaler", "gateway"},
    "tidepool:autoscaler:processes:reports": {"autoscaler", "gateway"},
    "tidepool:other": set(),
    "unacked": set(),
    "_kombu.binding.celery.pidbox": set(),
}
REFUSED = (
    *("FLUSHALL", "FLUSHDB", "KEYS *", "SCAN 0", "RANDOMKEY", "DBSIZE", "GET any", "SET any 1", "RENAME a b"),
    *("CONFIG GET *", "CONFIG SET maxmemory 1", "SHUTDOWN", "SAVE", "REPLICAOF NO ONE", "INFO"),
    *(
        "ACL LIST",
        "ACL SETUSER mallory on nopass +@all",
        "ACL LOG",
        "MONITOR",
        "CLIENT LIST",
        "CLIENT KILL TYPE normal",
    ),
    *("SCRIPT FLUSH", "SCRIPT KILL", "MODULE LIST", "SUBSCRIBE any", "PSUBSCRIBE *", "PUBLISH /0.celery.pidbox any"),
)


@pytest.fixture(scope="module")
def redis_users(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisWithUsers]:
    with redis_with_users(tmp_path_factory.mktemp("redis")) as redis:
        yield redis


@pytest.fixture(autouse=True)
def _nothing_stored(redis_users: RedisWithUsers) -> None:
    redis_users.admin.flushall()
    redis_users.admin.config_resetstat()
    redis_users.refusals()


@pytest.fixture
def replicas(
    redis_users: RedisWithUsers, database: Database, objects: S3Objects, s3: S3Server, tmp_path: Path
) -> Iterator[Replicas]:
    """No replicas yet; the user `sweep` sends the wake-up messages."""
    replicas = Replicas(database, objects, redis_users.server("sweep"), s3, tmp_path)
    with replicas.swept():
        yield replicas
    replicas.stop()


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/tidepool.db"


def names(redis_users: RedisWithUsers, pool: str, reader: RedisUser = "autoscaler") -> set[str]:
    """Return the replicas of a pool that a user sees."""
    reports = RedisReports(redis_users.settings(reader)).read()
    assert reports is not None
    return set(reports[pool].replicas)


@pytest.mark.parametrize("pool", POOL_NAMES)
def test_a_worker_starts_is_woken_hears_itself_and_leaves(
    redis_users: RedisWithUsers, replicas: Replicas, pool: PoolName
) -> None:
    replicas.start(pool, TIDEPOOL_BROKER_URL=redis_users.url(pool))
    replicas.until(lambda: len(names(redis_users, pool)) == 1)
    (name,) = names(redis_users, pool)
    (kind, *_) = (kind for kind in JobKind if kind.pool == pool)

    # when it is woken, and has sent itself a heartbeat
    Broker(celery_app(redis_users.settings("sweep"))).wake(kind, "no-such-job")
    replicas.until(lambda: all(redis_users.admin.ttl(key) > 0 for key in redis_keys.bindings(name)))
    replicas.until(lambda: "brpop" in _commands(redis_users) and not redis_users.admin.exists(pool, name))

    # then it leaves in order when it ends
    replicas.stop()
    assert names(redis_users, pool) == set()
    assert redis_users.admin.smembers(redis_keys.departed(pool)) == {name}
    assert redis_users.refusals() == []


def test_a_job_is_run(redis_users: RedisWithUsers, replicas: Replicas, tmp_path: Path) -> None:
    stores = replicas.stores
    archive = stores.objects.put(Bucket.UPLOADS, "upload-1", zipped(tmp_path / "pets.zip", class_folders(count=8)))
    stores.of(DEFAULT_PROJECT).uploads.add("pets.zip", archive)
    replicas.start("preprocess", TIDEPOOL_BROKER_URL=redis_users.url("preprocess"))

    spec = PreprocessSpec(dataset="pets", source=UploadSource(upload="upload-1"))
    job = stores.of(DEFAULT_PROJECT).jobs.create(PreprocessRequest(kind=JobKind.PREPROCESS, spec=spec))

    replicas.until(lambda: stores.of(DEFAULT_PROJECT).jobs.get(job.id).state.terminal)
    assert stores.of(DEFAULT_PROJECT).jobs.get(job.id).state == JobState.SUCCEEDED
    assert redis_users.refusals() == []


def test_predictions_are_answered_or_withdrawn(redis_users: RedisWithUsers, replicas: Replicas) -> None:
    publish_model(replicas.stores)
    _, model = replicas.stores.of(DEFAULT_PROJECT).models.manifest(Reference.parse("pet-cnn@1"))
    target = Target("pet-cnn", 1, Artifact(**model.artifact.model_dump(mode="json")))
    image = EncodedImage(encoded(IMAGE.transpose(1, 2, 0)))

    async def predict() -> None:
        async with batcher("inference", redis_users.url("gateway")) as client:
            await client.ping()
            with pytest.raises(DeadlineExceeded):
                await client.ask(target, image, 0.5)  # there is no replica yet
            replicas.start("inference", TIDEPOOL_BROKER_URL=redis_users.url("inference"))
            answers = [(await client.ask(target, image, 60)).answer for _ in range(5)]
            assert all(isinstance(answer, Scores) for answer in answers)
            # the gateway sees the replica, and when it is gone, asks whether it left in order
            await asyncio.sleep(2 * WATCH_S)
            await asyncio.to_thread(replicas.stop)
            await asyncio.to_thread(replicas.until, lambda: "smembers" in _commands(redis_users))

    asyncio.run(predict())
    assert redis_users.refusals() == []


def test_a_replica_that_stays_awake_too_long_wakes_another(
    redis_users: RedisWithUsers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(responder, "AWAKE_S", -1.0)
    handler = BatchHandler(lambda target, questions: BatchAnswers([], 0.0, "", 0))
    client = redis_py.Redis.from_url(redis_users.url("inference"))
    batch = Batch("batch", "tidepool:replies:1", Target("model", 1, Artifact("jobs", "none", 1, "0" * 64)), ())
    redis_users.admin.rpush(redis_keys.batches("inference"), msgspec.msgpack.encode(batch))

    Responder("inference", client, handler, b"wakeup", Busy()).run()

    assert redis_users.admin.llen("tidepool:replies:1") == 1
    assert redis_users.admin.lrange(redis_keys.wakeups("inference"), 0, -1) == ["wakeup"]
    assert redis_users.refusals() == []


def test_the_gateway_sees_the_processes_that_report(redis_users: RedisWithUsers) -> None:
    for user, role in (("sweep", "storage"), ("autoscaler", "autoscaler")):
        ProcessPresence(role, redis_users.settings(user)).beat()
    reports = RedisReports(redis_users.settings("gateway"))

    processes, facts = reports.read_processes(), reports.broker_facts()

    assert processes is not None
    assert {role: len(names) for role, names in processes.items()} == {"storage": 1, "autoscaler": 1}
    assert facts.user == "gateway"
    assert facts.version is not None
    assert redis_users.refusals() == []


@pytest.mark.parametrize("reader", ["gateway", "autoscaler"])
def test_a_lost_replica_is_removed_by_the_readers_of_reports(redis_users: RedisWithUsers, reader: RedisUser) -> None:
    for pool in POOL_NAMES:
        _lose_a_replica(redis_users, pool)

    assert [names(redis_users, pool, reader) for pool in POOL_NAMES] == [set()] * 3

    assert redis_users.admin.keys("tidepool:*") == []
    assert redis_users.refusals() == []


@pytest.mark.parametrize("pool", POOL_NAMES)
def test_a_worker_is_cordoned_by_the_autoscaler_and_removes_lost_replicas(
    redis_users: RedisWithUsers, pool: PoolName
) -> None:
    cordoned: list[bool] = []
    presence = Presence(pool, "replica", redis_users.client(pool), Busy(), Busy(), cordoned.append)
    cordon = RedisCordon(redis_users.settings("autoscaler"))
    _lose_a_replica(redis_users, pool)

    cordon.publish({pool: {socket.gethostname()}})
    presence.beat()
    cordon.publish({})
    presence.beat()

    assert cordoned == [True, False]
    assert names(redis_users, pool) == {"replica"}
    assert redis_users.refusals() == []


@pytest.mark.parametrize("user", REDIS_USERS)
def test_a_user_reaches_the_keys_of_its_service_only(redis_users: RedisWithUsers, user: RedisUser) -> None:
    # given a user with the same patterns of keys that may also ask whether a key exists
    (line,) = (line for line in redis_users.lines if line.split()[1] == user)
    patterns = [rule for rule in line.split() if rule.startswith(("~", "%"))]
    redis_users.admin.execute_command("ACL", "SETUSER", "copy", "reset", "on", ">copy", *patterns, "+exists")
    options = redis_users.admin.connection_pool.connection_kwargs
    client = redis_py.Redis(host=options["host"], port=options["port"], username="copy", password="copy")

    allowed = {key for key in USERS_OF if _permitted(client, "EXISTS", key)}

    assert allowed == {key for key, users in USERS_OF.items() if user in users}


@pytest.mark.parametrize("user", REDIS_USERS)
def test_commands_that_a_service_does_not_need_are_refused(redis_users: RedisWithUsers, user: RedisUser) -> None:
    redis_users.admin.set("any", 1)

    permitted = [command for command in REFUSED if _permitted(redis_users.client(user), *command.split())]

    assert permitted == (["INFO"] if user in {"gateway", "sweep"} else [])
    assert redis_users.admin.get("any") == "1"


def test_the_sweep_reads_the_memory_of_redis(redis_users: RedisWithUsers) -> None:
    RedisMemory(redis_users.settings("sweep")).read()

    names = ("used_bytes", "limit_bytes", "connections", "up")
    used, limit, connections, up = (REGISTRY.get_sample_value(f"tidepool_redis_{name}") for name in names)
    assert None not in (used, limit)
    assert (used or 0) > 100_000
    assert (connections or 0) >= 1
    assert up == 1
    assert redis_users.refusals() == []


@pytest.mark.parametrize("user", WITH_SCRIPTS)
@pytest.mark.parametrize("call", ["'FLUSHALL'", "'GET', 'any'", "'LLEN', 'tidepool:other'", "'CONFIG', 'GET', '*'"])
def test_a_script_may_do_no_more_than_its_user(redis_users: RedisWithUsers, user: RedisUser, call: str) -> None:
    redis_users.admin.set("any", 1)

    with pytest.raises(redis_py.ResponseError):
        redis_users.client(user).eval(f"return redis.call({call})", 0)

    assert redis_users.admin.get("any") == "1"


def test_no_service_reads_the_replies_for_gateways(redis_users: RedisWithUsers) -> None:
    if redis_users.release < (7, 0):
        assert "~tidepool:replies:*" in next(line for line in redis_users.lines if " inference " in line)
        return
    assert not _permitted(redis_users.client("inference"), "BLPOP", "tidepool:replies:1", "1")


def test_no_user_but_the_gateway_with_info_has_a_dangerous_or_administrative_command(
    redis_users: RedisWithUsers,
) -> None:
    dangerous = {*redis_users.admin.acl_cat("dangerous"), *redis_users.admin.acl_cat("admin")}

    granted = {user: rights.commands & dangerous for user, rights in RIGHTS.items() if rights.commands & dangerous}

    assert granted == {"gateway": {"info"}, "sweep": {"info"}}  # tells counts and sizes, no keys or values


def test_there_is_a_user_for_each_service_and_one_for_probes() -> None:
    assert set(REDIS_USERS) == {*get_args(Service), PROBE} == RIGHTS.keys()
    assert RIGHTS[PROBE].commands == {"ping"}


def _commands(redis_users: RedisWithUsers) -> set[str]:
    """Return the commands that the server has run."""
    return {name.removeprefix("cmdstat_") for name in redis_users.admin.info("commandstats")}


def _lose_a_replica(redis_users: RedisWithUsers, pool: str) -> None:
    """Store a replica whose last heartbeat was long ago."""
    replicas = redis_keys.replicas(pool)
    redis_users.admin.zadd(replicas, {"lost": 1})
    redis_users.admin.hset(redis_keys.reports(replicas), "lost", "{}")


def _permitted(client: "redis_py.Redis", *command: str) -> bool:
    try:
        client.execute_command(*command)  # type: ignore[no-untyped-call]
    except redis_py.exceptions.NoPermissionError:
        return False
    return True
