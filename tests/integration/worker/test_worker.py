"""The job harness for real: a Celery worker process, attempts in processes of their own, Redis, S3, both databases."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import redis as redis_client

from contract.access import DEFAULT_PROJECT
from contract.artifacts import Bucket
from contract.inference import Answer, Artifact, EncodedImage, Scores, Target
from contract.jobs import Job, JobKind, JobState, PreprocessRequest, PreprocessSpec
from contract.uploads import UploadSource
from contract.usage import UsageBy
from messaging import redis_keys
from messaging.broker import Broker, celery_app
from messaging.cordon import RedisCordon
from messaging.reports import RedisReports
from messaging.settings import BrokerSettings
from services.storage.database import Database
from services.storage.objects import S3Objects
from services.storage.stores import Stores
from services.storage.sweep.reconciler import Reconciler
from tests.asking import batcher
from tests.integration.worker.moods_main import BEAT_S
from tests.servers import S3Server, Server

PATIENCE_S = 40.0
TARGET = Target("echo", 1, Artifact("jobs", "none", 1, "0" * 64))


class Harness:
    """One worker process, and the clients' view of its jobs."""

    def __init__(self, stores: Stores, settings: BrokerSettings, environment: dict[str, str], log: Path) -> None:
        self.stores = stores
        self.log = log
        self.settings = settings
        self._broker = Broker(celery_app(settings))
        self._environment = environment
        self.process = self.start()

    def start(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as output:
            command = [sys.executable, "-m", "tests.integration.worker.moods_main"]
            self.process = subprocess.Popen(command, env=self._environment, stdout=output, stderr=output)
        return self.process

    def submit(self, mood: str) -> Job:
        spec = PreprocessSpec(dataset=mood, source=UploadSource(upload="none"))
        job = self.stores.of(DEFAULT_PROJECT).jobs.create(PreprocessRequest(kind=JobKind.PREPROCESS, spec=spec))
        Reconciler(self.stores.database).relay(self._broker.wake)
        return job

    def ask(self, file: bytes, times: int) -> list[Answer]:
        """The answers to as many questions, one after the other."""

        async def questions() -> list[Answer]:
            async with batcher("preprocess", self.settings.url.get_secret_value()) as asker:
                return [(await asker.ask(TARGET, EncodedImage(file), PATIENCE_S)).answer for _ in range(times)]

        return asyncio.run(questions())

    def until(self, job: Job, holds: Callable[[Job], bool]) -> Job:
        deadline = time.monotonic() + PATIENCE_S
        while not holds(job):
            assert time.monotonic() < deadline, f"{job}\n{self.log.read_text()[-3000:]}"
            time.sleep(0.05)
            job = self.stores.of(DEFAULT_PROJECT).jobs.get(job.id)
        return job


@pytest.fixture
def harness(
    database: Database, database_url: str, objects: S3Objects, redis: Server, s3: S3Server, tmp_path: Path
) -> Iterator[Harness]:
    environment = os.environ | {
        "TIDEPOOL_DATABASE_URL": database_url,
        "TIDEPOOL_BROKER_URL": redis.url,
        "TIDEPOOL_S3_ENDPOINT": s3.url,
        "TIDEPOOL_S3_ACCESS_KEY": s3.access_key,
        "TIDEPOOL_S3_SECRET_KEY": s3.secret_key,
        "TIDEPOOL_SCRATCH": str(tmp_path),
    }
    settings = BrokerSettings.model_validate({"url": redis.url})
    harness = Harness(Stores(database, objects), settings, environment, tmp_path / "worker.log")
    yield harness
    harness.process.kill()  # how it goes in peace has tests of its own
    harness.process.wait(30)


def ended(job: Job) -> bool:
    return job.state.terminal


def started(job: Job) -> bool:
    return job.state == JobState.RUNNING and job.progress.message.startswith(("step", "half"))


def test_a_job_succeeds_fails_for_a_reason_and_hides_a_bug(harness: Harness) -> None:
    # given three jobs of different moods
    good, bad, buggy = (harness.submit(mood) for mood in ("good", "bad", "buggy"))

    # when the worker has seen them through
    good, bad = harness.until(good, ended), harness.until(bad, ended)
    buggy = harness.until(buggy, lambda job: job.error is not None)

    # then the first is published, the second says why, and the third shows nothing of its exception
    assert good.state == JobState.SUCCEEDED
    assert good.result is not None
    assert good.result["dataset"] == "good@1"
    assert harness.stores.of(DEFAULT_PROJECT).datasets.named("good").versions == (1,)
    assert (bad.state, bad.error and bad.error.code) == (JobState.FAILED, "bad_dataset")
    assert buggy.error is not None
    assert "secret" not in buggy.error.message
    assert "secret detail" in harness.log.read_text()


def test_an_attempt_that_is_killed_is_charged_and_runs_again(harness: Harness) -> None:
    job = harness.submit("dying")

    job = harness.until(job, lambda job: job.error is not None)

    assert job.state == JobState.QUEUED
    assert job.error is not None
    assert job.error.code == "worker_lost"
    # and the worker itself lives on
    assert harness.until(harness.submit("good"), ended).state == JobState.SUCCEEDED


def test_a_running_job_is_cancelled(harness: Harness) -> None:
    job = harness.until(harness.submit("slow"), started)

    harness.stores.of(DEFAULT_PROJECT).jobs.cancel(job.id)

    assert harness.until(job, ended).state == JobState.CANCELLED
    assert harness.stores.of(DEFAULT_PROJECT).datasets.list(10).items == ()


def test_a_worker_says_what_it_does_and_writes_it_down(harness: Harness) -> None:
    # given a job under way
    job = harness.until(harness.submit("slow"), started)
    name = f"preprocess.{socket.gethostname()}.{harness.process.pid}"
    reports = RedisReports(harness.settings)

    def at_work(_: Job) -> bool:
        said = (reports.read() or {})["preprocess"].replicas.get(name)
        return said is not None and said.job and said.busy > 0

    harness.until(job, at_work)

    # when its worker goes
    harness.process.terminate()
    harness.process.wait(30)

    # then its seconds are in the ledger
    today = harness.stores.database.now().date()
    (line,) = harness.stores.ledger.sums(today - timedelta(days=1), today, UsageBy.JOB, 10).items
    (pool,) = harness.stores.ledger.sums(today - timedelta(days=1), today, UsageBy.POOL, 10).items
    assert (line.key, pool.key) == (job.id, "preprocess")
    assert 0 < line.jobs_s == pool.jobs_s < (pool.ready_s or 0)


def test_a_worker_that_is_too_many_finishes_its_job_and_takes_no_other(harness: Harness, redis: Server) -> None:
    # given one that runs a job while it hears at every beat that it is too many
    running = harness.until(harness.submit("slow"), started)
    surplus, client = RedisCordon(harness.settings), redis_client.Redis.from_url(redis.url)
    host, pid = socket.gethostname(), harness.process.pid

    def after_beats(job: Job) -> Job:
        """The job when the worker has heard it twice."""
        key, name = redis_keys.replicas("preprocess"), f"preprocess.{host}.{pid}"
        until = client.zscore(key, name) + 3 * BEAT_S

        def heard(_: Job) -> bool:
            surplus.say({"preprocess": {f"{host}:{pid}"}})
            return bool(client.zscore(key, name) >= until)

        return harness.until(job, heard)

    # then it goes on with its job
    assert after_beats(running).state == JobState.RUNNING

    # and when that is over, it takes no other
    harness.stores.of(DEFAULT_PROJECT).jobs.cancel(running.id)
    harness.until(running, ended)
    other = harness.submit("good")
    assert after_beats(other).state == JobState.QUEUED

    # and when it is not too many any more, it does
    surplus.say({})
    assert harness.until(other, ended).state == JobState.SUCCEEDED


def test_a_job_divides_and_is_put_together(harness: Harness) -> None:
    # when
    job = harness.until(harness.submit("dividing"), ended)

    # then every part was done once, and all of them count
    assert job.state == JobState.SUCCEEDED
    assert job.result is not None
    assert job.result["rejected"] == 0 + 1 + 4 + 9
    lines = [
        event.data["message"]
        for event in harness.stores.of(DEFAULT_PROJECT).events.after(job.id, 0)
        if event.kind == "log"
    ]
    assert sorted(lines) == [f"part {number} at work" for number in range(4)]


def test_questions_are_answered_while_a_job_runs(harness: Harness) -> None:
    job = harness.until(harness.submit("slow"), started)

    assert harness.ask(b"abc", times=20) == [Scores((("cba", 1.0),))] * 20

    assert harness.stores.of(DEFAULT_PROJECT).jobs.get(job.id).state == JobState.RUNNING


def test_an_idle_worker_finds_work_that_it_was_not_rung_for(harness: Harness) -> None:
    harness.until(harness.submit("good"), ended)
    spec = PreprocessSpec(dataset="good", source=UploadSource(upload="none"))

    job = harness.stores.of(DEFAULT_PROJECT).jobs.create(PreprocessRequest(kind=JobKind.PREPROCESS, spec=spec))

    assert harness.until(job, ended).state == JobState.SUCCEEDED


def test_sigterm_gives_the_job_back_and_another_replica_resumes_it(harness: Harness) -> None:
    # given an attempt that has saved a checkpoint
    job = harness.until(harness.submit("resuming"), started)

    # when its worker is told to go
    harness.process.send_signal(signal.SIGTERM)

    # then it goes in time, nothing is charged, and the next replica goes on from the checkpoint
    harness.process.wait(30)
    waiting = harness.stores.of(DEFAULT_PROJECT).jobs.get(job.id)
    assert (waiting.state, waiting.error) == (JobState.QUEUED, None)
    harness.start()
    Reconciler(harness.stores.database).repair()
    Reconciler(harness.stores.database).relay(harness._broker.wake)
    done = harness.until(job, ended)
    assert (done.state, done.attempt) == (JobState.SUCCEEDED, 1)
    assert harness.stores.objects.prefixes(Bucket.JOBS, f"{job.id}/attempts/") == [
        f"{job.id}/attempts/1/",
        f"{job.id}/attempts/2/",
    ]


def test_a_killed_worker_takes_its_attempt_with_it(harness: Harness) -> None:
    job = harness.until(harness.submit("slow"), started)

    harness.process.kill()

    # the orphan notices that its worker is gone and stops reporting; the lease will run out
    harness.process.wait(5)
    deadline = time.monotonic() + PATIENCE_S
    while _running("tests.integration.worker.moods_main"):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert harness.stores.of(DEFAULT_PROJECT).jobs.get(job.id).state == JobState.RUNNING
    harness.start()


def _running(module: str) -> bool:
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if module in entry.read_text():
                return True
        except OSError:
            continue
    return False
