"""A client for the directed tests, with helpers that wait for conditions."""

import time
from collections.abc import Callable
from typing import Any

import httpx

from contract.access import DEFAULT_PROJECT
from contract.jobs import Job
from tests.faults.cluster import Cluster
from tests.faults.nemesis import held_by
from tests.faults.process import RestartedProcess

TIMEOUT_S = 60.0


class Driver:
    """Calls the gateway, and reads the tables directly, bypassing the proxies."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self._http = httpx.Client(
            base_url=cluster.url, headers={"Authorization": f"Bearer {cluster.key}"}, timeout=10, trust_env=False
        )

    def submit(self, name: str) -> Job:
        """Submit a preprocess job that behaves as `name` says."""
        spec = {"dataset": name, "source": {"upload": self.cluster.upload}}
        return self.post("/v1/jobs", json={"kind": "preprocess", "spec": spec})

    def job(self, job: Job) -> Job:
        """Read the job from the gateway."""
        return _job(self._http.get(f"/v1/jobs/{job.id}"))

    def cancel(self, job: Job) -> Job:
        return self.post(f"/v1/jobs/{job.id}/cancel")

    def post(self, path: str, **arguments: Any) -> Job:
        return _job(self._http.post(path, **arguments))

    def versions(self, name: str) -> tuple[int, ...]:
        """Return the published versions of a dataset."""
        response = self._http.get(f"/v1/datasets/{name}")
        return tuple(response.json()["versions"]) if response.is_success else ()

    def until(self, job: Job, condition: Callable[[Job], bool], within_s: float = TIMEOUT_S) -> Job:
        """Wait until the job meets a condition and return it."""
        self.wait(lambda: condition(self.cluster.stores.of(DEFAULT_PROJECT).jobs.get(job.id)), within_s)
        return self.cluster.stores.of(DEFAULT_PROJECT).jobs.get(job.id)

    def wait(self, condition: Callable[[], object], within_s: float = TIMEOUT_S) -> None:
        """Wait for a condition; fails with the logs after `within_s` seconds."""
        deadline = time.monotonic() + within_s
        while not condition():
            assert time.monotonic() < deadline, self.cluster.logs()
            time.sleep(0.05)

    def holder(self, job: Job) -> RestartedProcess:
        """Return the worker that holds a job."""
        return next(worker for worker in self.cluster.workers if job.id in held_by(self.cluster, worker))

    def wait_until_it_answers(self) -> None:
        """Wait until the gateway responds."""
        self.wait(self._gateway_is_up)

    def close(self) -> None:
        self._http.close()

    def _gateway_is_up(self) -> bool:
        try:
            return self._http.get("/livez").is_success
        except httpx.HTTPError:
            return False


def _job(response: httpx.Response) -> Job:
    return Job.model_validate_json(response.raise_for_status().content)


def ended(job: Job) -> bool:
    return job.state.terminal


def stepping(job: Job) -> bool:
    """Whether the handler is at work."""
    return job.progress.message.startswith("step")
