"""A client of the directed tests: it does one thing after the other and waits for what must come."""

import time
from collections.abc import Callable
from typing import Any

import httpx

from contract.access import DEFAULT_PROJECT
from contract.jobs import Job
from tests.faults.cluster import Cluster
from tests.faults.kept import Kept
from tests.faults.nemesis import held_by

PATIENCE_S = 60.0


class Driver:
    """Talks to the gateway, and looks into the tables past every proxy."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self._http = httpx.Client(
            base_url=cluster.url, headers={"Authorization": f"Bearer {cluster.key}"}, timeout=10, trust_env=False
        )

    def submit(self, name: str) -> Job:
        """Accept a preprocess job that behaves as its name says."""
        spec = {"dataset": name, "source": {"upload": self.cluster.upload}}
        return self.post("/v1/jobs", json={"kind": "preprocess", "spec": spec})

    def job(self, job: Job) -> Job:
        """The job now."""
        return _job(self._http.get(f"/v1/jobs/{job.id}"))

    def cancel(self, job: Job) -> Job:
        return self.post(f"/v1/jobs/{job.id}/cancel")

    def post(self, path: str, **arguments: Any) -> Job:
        return _job(self._http.post(path, **arguments))

    def versions(self, name: str) -> tuple[int, ...]:
        """Of a data set, as they are published."""
        answer = self._http.get(f"/v1/datasets/{name}")
        return tuple(answer.json()["versions"]) if answer.is_success else ()

    def until(self, job: Job, holds: Callable[[Job], bool], within_s: float = PATIENCE_S) -> Job:
        """The job as soon as something holds of it."""
        self.wait(lambda: holds(self.cluster.stores.of(DEFAULT_PROJECT).jobs.get(job.id)), within_s)
        return self.cluster.stores.of(DEFAULT_PROJECT).jobs.get(job.id)

    def wait(self, holds: Callable[[], object], within_s: float = PATIENCE_S) -> None:
        """Until something holds; shows the logs when it does not."""
        deadline = time.monotonic() + within_s
        while not holds():
            assert time.monotonic() < deadline, self.cluster.logs()
            time.sleep(0.05)

    def holder(self, job: Job) -> Kept:
        """The worker that runs a job."""
        return next(worker for worker in self.cluster.workers if job.id in held_by(self.cluster, worker))

    def wait_until_it_answers(self) -> None:
        """Until the gateway is up."""
        self.wait(self._lives)

    def close(self) -> None:
        self._http.close()

    def _lives(self) -> bool:
        try:
            return self._http.get("/livez").is_success
        except httpx.HTTPError:
            return False


def _job(answer: httpx.Response) -> Job:
    return Job.model_validate_json(answer.raise_for_status().content)


def ended(job: Job) -> bool:
    return job.state.terminal


def stepping(job: Job) -> bool:
    """The handler is in the middle of its work."""
    return job.progress.message.startswith("step")
