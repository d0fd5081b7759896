"""A worker for the tests of bells: it is busy until the file exists whose path came as a job's id."""

from pathlib import Path

from runtime.broker import RUN_JOB, celery_app, consume
from runtime.settings import BrokerSettings
from tests.integration.runtime.echo_worker import wait_for


def run_job(job_id: str) -> None:
    path = Path(job_id)
    path.with_name("busy").touch()
    wait_for(path)


if __name__ == "__main__":
    consume(celery_app(BrokerSettings()), "preprocess", RUN_JOB, run_job, pool="threads")
