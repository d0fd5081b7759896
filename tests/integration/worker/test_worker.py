"""The job worker end to end: a Celery worker process, attempts in child processes, Redis, S3, both databases."""

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
import redis as redis_client

from contract.access import DEFAULT_PROJECT
from contract.artifacts import Bucket
from contract.inference import Answer, Artifact, EncodedImage, Scores, Target
from contract.jobs import Job, JobKind, JobState
from contract.kinds.preprocess import PreprocessRequest, PreprocessSpec
from contract.references import UploadSource
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
from tests.integration.worker.scripted_worker import BEAT_S
from tests.support.batcher import batcher
from tests.support.servers import S3Server, Server, free_port, service_environment

TIMEOUT_S = 40.0
# The tests of what does not depend on the database run on one of the two.
ANY_DATABASE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
TARGET = Target("echo", 1, Artifact("jobs", "none", 1, "0" * 64))


class Harness:
    """A worker process, and a client of its jobs."""

    def __init__(self, stores: Stores, settings: BrokerSettings, environment: dict[str, str], log: Path) -> None:
        self.stores = stores
        self.log = log
        self.settings = settings
        self._broker = Broker(celery_app(settings))
        self._environment = environment
        self.process = self.start()

    def start(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as output:
            command = [sys.executable, "-m", "tests.integration.worker.scripted_worker"]
            self.process = subprocess.Popen(command, env=self._environment, stdout=output, stderr=output)
        return self.process

    def submit(self, behaviour: str) -> Job:
        spec = PreprocessSpec(dataset=behaviour, source=UploadSource(upload="none"))
        job = self.stores.of(DEFAULT_PROJECT).jobs.create(PreprocessRequest(kind=JobKind.PREPROCESS, spec=spec))
        Reconciler(self.stores.database).relay(self._broker.wake)
        return job

    def ask(self, file: bytes, times: int) -> list[Answer]:
        """Ask the same question `times` times in sequence and return the answers."""

        async def questions() -> list[Answer]:
            async with batcher("preprocess", self.settings.url.get_secret_value()) as client:
                return [(await client.ask(TARGET, EncodedImage(file), TIMEOUT_S)).answer for _ in range(times)]

        return asyncio.run(questions())

    def outcomes(self) -> dict[str, float]:
        """Return how many attempts ended how, as the metrics of the worker tell; those that are zero are left out."""
        text = httpx.get(f"http://127.0.0.1:{self._environment['TIDEPOOL_METRICS_PORT']}/metrics").text
        ended = re.findall(r'^tidepool_attempts_ended_total{.*outcome="(\w+)"} (\S+)$', text, re.MULTILINE)
        return {outcome: float(count) for outcome, count in ended if float(count)}

    def until(self, job: Job, condition: Callable[[Job], bool]) -> Job:
        deadline = time.monotonic() + TIMEOUT_S
        while not condition(job):
            assert time.monotonic() < deadline, f"{job}\n{self.log.read_text()[-3000:]}"
            time.sleep(0.05)
            job = self.stores.of(DEFAULT_PROJECT).jobs.get(job.id)
        return job


@pytest.fixture
def harness(
    database: Database, database_url: str, objects: S3Objects, redis: Server, s3: S3Server, tmp_path: Path
) -> Iterator[Harness]:
    own = {"TIDEPOOL_SCRATCH": str(tmp_path), "TIDEPOOL_METRICS_PORT": str(free_port())}
    environment = os.environ | service_environment(database_url, redis, s3) | own
    settings = BrokerSettings.model_validate({"url": redis.url})
    harness = Harness(Stores(database, objects), settings, environment, tmp_path / "worker.log")
    yield harness
    harness.process.kill()  # other tests cover the orderly shutdown
    harness.process.wait(30)


def ended(job: Job) -> bool:
    return job.state.terminal


def started(job: Job) -> bool:
    return job.state == JobState.RUNNING and job.progress.message.startswith(("step", "half"))


def test_jobs_succeed_or_fail_and_an_internal_error_stays_in_the_log(harness: Harness) -> None:
    # given three jobs with different behaviours
    good, bad, buggy = (harness.submit(behaviour) for behaviour in ("good", "bad", "buggy"))

    # when the worker has run them
    good, bad = harness.until(good, ended), harness.until(bad, ended)
    buggy = harness.until(buggy, lambda job: job.error is not None)

    # then the first is published, the second has its error, and the third does not show its exception
    assert good.state == JobState.SUCCEEDED
    assert good.result is not None
    assert good.result["dataset"] == "good@1"
    assert harness.stores.of(DEFAULT_PROJECT).datasets.named("good").versions == (1,)
    assert (bad.state, bad.error and bad.error.code) == (JobState.FAILED, "bad_dataset")
    assert buggy.error is not None
    assert "secret" not in buggy.error.message
    assert "secret detail" in harness.log.read_text()

    # and the worker's metrics have what its attempts counted in processes of their own
    deadline = time.monotonic() + TIMEOUT_S
    while (outcomes := harness.outcomes()).keys() != {"succeeded", "bad_dataset", "job_failed"}:
        assert time.monotonic() < deadline, outcomes
        time.sleep(0.1)


@ANY_DATABASE
def test_an_attempt_that_is_killed_counts_as_failed_and_is_retried(harness: Harness) -> None:
    job = harness.submit("dying")

    job = harness.until(job, lambda job: job.error is not None)

    assert job.state == JobState.QUEUED
    assert job.error is not None
    assert job.error.code == "worker_lost"
    # and the worker itself keeps running
    assert harness.until(harness.submit("good"), ended).state == JobState.SUCCEEDED


def test_a_running_job_is_cancelled(harness: Harness) -> None:
    job = harness.until(harness.submit("slow"), started)

    harness.stores.of(DEFAULT_PROJECT).jobs.cancel(job.id)

    assert harness.until(job, ended).state == JobState.CANCELLED
    assert harness.stores.of(DEFAULT_PROJECT).datasets.list(10).items == ()


@ANY_DATABASE
def test_a_worker_reports_its_work_and_writes_its_usage(harness: Harness) -> None:
    # given a running job
    job = harness.until(harness.submit("slow"), started)
    name = f"preprocess.{socket.gethostname()}.{harness.process.pid}"
    reports = RedisReports(harness.settings)

    def reported(_: Job) -> bool:
        report = (reports.read() or {})["preprocess"].replicas.get(name)
        return report is not None and report.job and report.busy > 0

    harness.until(job, reported)

    # when its worker shuts down
    harness.process.terminate()
    harness.process.wait(30)

    # then its seconds are in the ledger
    today = harness.stores.database.now().date()
    (line,) = harness.stores.ledger.sums(DEFAULT_PROJECT, today - timedelta(days=1), today, UsageBy.JOB, 10).items
    (pool,) = harness.stores.ledger.sums(DEFAULT_PROJECT, today - timedelta(days=1), today, UsageBy.POOL, 10).items
    assert (line.key, pool.key) == (job.id, "preprocess")
    assert 0 < line.jobs_s == pool.jobs_s < (pool.ready_s or 0)


@ANY_DATABASE
def test_a_cordoned_worker_finishes_its_job_and_claims_no_other(harness: Harness, redis: Server) -> None:
    # given a worker that runs a job while it is cordoned
    running = harness.until(harness.submit("slow"), started)
    cordon, client = RedisCordon(harness.settings), redis_client.Redis.from_url(redis.url)
    host, pid = socket.gethostname(), harness.process.pid

    def after_beats(job: Job) -> Job:
        """Return the job when the worker has read the cordon twice."""
        key, name = redis_keys.replicas("preprocess"), f"preprocess.{host}.{pid}"
        until = client.zscore(key, name) + 3 * BEAT_S

        def beaten(_: Job) -> bool:
            cordon.publish({"preprocess": {f"{host}:{pid}"}})
            return bool(client.zscore(key, name) >= until)

        return harness.until(job, beaten)

    # then it continues its job
    assert after_beats(running).state == JobState.RUNNING

    # and then claims no other
    harness.stores.of(DEFAULT_PROJECT).jobs.cancel(running.id)
    harness.until(running, ended)
    other = harness.submit("good")
    assert after_beats(other).state == JobState.QUEUED

    # until it is no longer cordoned
    cordon.publish({})
    assert harness.until(other, ended).state == JobState.SUCCEEDED


def test_a_job_is_divided_and_its_parts_are_combined(harness: Harness) -> None:
    # when
    job = harness.until(harness.submit("dividing"), ended)

    # then every part ran once, and the result is made of all
    assert job.state == JobState.SUCCEEDED
    assert job.result is not None
    assert job.result["rejected"] == 0 + 1 + 4 + 9
    lines = [
        event.data["message"]
        for event in harness.stores.of(DEFAULT_PROJECT).events.after(job.id, 0)
        if event.kind == "log"
    ]
    assert sorted(lines) == [f"part {number} started" for number in range(4)]


@ANY_DATABASE
def test_questions_are_answered_while_a_job_runs(harness: Harness) -> None:
    job = harness.until(harness.submit("slow"), started)

    assert harness.ask(b"abc", times=20) == [Scores((("cba", 1.0),))] * 20

    assert harness.stores.of(DEFAULT_PROJECT).jobs.get(job.id).state == JobState.RUNNING


@ANY_DATABASE
def test_an_idle_worker_finds_a_job_without_a_wake_up_message(harness: Harness) -> None:
    harness.until(harness.submit("good"), ended)
    spec = PreprocessSpec(dataset="good", source=UploadSource(upload="none"))

    job = harness.stores.of(DEFAULT_PROJECT).jobs.create(PreprocessRequest(kind=JobKind.PREPROCESS, spec=spec))

    assert harness.until(job, ended).state == JobState.SUCCEEDED


def test_sigterm_releases_the_job_and_another_replica_resumes_it(harness: Harness) -> None:
    # given an attempt that has saved a checkpoint
    job = harness.until(harness.submit("resuming"), started)

    # when its worker gets SIGTERM
    harness.process.send_signal(signal.SIGTERM)

    # then it exits in time, the attempt does not count, and the next replica resumes from the checkpoint
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


@ANY_DATABASE
def test_the_attempt_of_a_killed_worker_exits(harness: Harness) -> None:
    job = harness.until(harness.submit("slow"), started)

    harness.process.kill()

    # the attempt notices the closed pipe and exits; the lease will expire
    harness.process.wait(5)
    deadline = time.monotonic() + TIMEOUT_S
    while _running("tests.integration.worker.scripted_worker"):
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
