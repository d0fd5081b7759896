"""The clients of a run: they submit, cancel and read jobs through the gateway, and record every call."""

import random
import threading
import uuid
from collections.abc import Callable
from typing import Any

import httpx

from contract.jobs import JobState
from tests.faults.cluster import Cluster
from tests.faults.history import Event, Operation, Outcome, Recorder

OPEN = 3  # unfinished jobs at most, for each client
DATASETS = ("quick", "steps", "slow", "resumes", "divides", "divides", "unlucky", "bad", "poison", "deaf")
MODELS = ("quick", "slow", "resumes", "resumes")
Body = dict[str, Any]


class Calls:
    """The calls of one client, each recorded as an event."""

    def __init__(self, cluster: Cluster, recorder: Recorder, name: str, timeout: float = 10) -> None:
        self._http = httpx.Client(
            base_url=cluster.url, headers={"Authorization": f"Bearer {cluster.key}"}, timeout=timeout, trust_env=False
        )
        self._recorder = recorder
        self._name = name

    def submit(self, key: str, body: Body) -> Event:
        headers = {"Idempotency-Key": key}
        return self._call(Operation.SUBMIT, key, lambda: self._http.post("/v1/jobs", json=body, headers=headers))

    def cancel(self, job: str) -> Event:
        return self._call(Operation.CANCEL, job, lambda: self._http.post(f"/v1/jobs/{job}/cancel"))

    def read(self, job: str) -> Event:
        return self._call(Operation.READ, job, lambda: self._http.get(f"/v1/jobs/{job}"))

    def close(self) -> None:
        self._http.close()

    def _call(self, operation: Operation, argument: str, send: Callable[[], httpx.Response]) -> Event:
        def act() -> tuple[Outcome, dict[str, Any]]:
            try:
                response = send()
            except httpx.HTTPError as error:
                return Outcome.UNKNOWN, {"error": type(error).__name__}
            if response.is_success:
                return Outcome.OK, {"job": response.json()["id"], "state": response.json()["state"]}
            refused = response.is_client_error
            return Outcome.REFUSED if refused else Outcome.UNKNOWN, {"status": response.status_code}

        return self._recorder.call(self._name, operation, argument, act)


def preprocess(cluster: Cluster, name: str) -> Body:
    """The request for a preprocess job that behaves as `name` says."""
    return {"kind": "preprocess", "spec": {"dataset": name, "source": {"upload": cluster.upload}}}


def train(name: str) -> Body:
    """The request for a train job that behaves as `name` says; needs the dataset `quick`."""
    return {"kind": "train", "spec": {"dataset": "quick", "model": name}}


class Client:
    """A client that keeps a few jobs unfinished at a time, until `stop` is set."""

    def __init__(self, cluster: Cluster, recorder: Recorder, name: str, seed: str, stop: threading.Event) -> None:
        self._cluster, self._stop = cluster, stop
        self._calls = Calls(cluster, recorder, name)
        self._random = random.Random(f"{seed} {name}")
        self._open: list[str] = []
        self.thread = threading.Thread(target=self._run, name=name)
        self.thread.start()

    def _run(self) -> None:
        while not self._stop.wait(self._random.uniform(0.05, 0.4)):
            if len(self._open) < OPEN:
                self._submit()
            if self._open:
                self._read_or_cancel(self._random.choice(self._open))
        self._calls.close()

    def _submit(self) -> None:
        key = uuid.UUID(int=self._random.getrandbits(128)).hex
        if self._random.random() < 0.75:
            body = preprocess(self._cluster, self._random.choice(DATASETS))
        else:
            body = train(self._random.choice(MODELS))
        event = self._calls.submit(key, body)
        while event.outcome == Outcome.UNKNOWN and not self._stop.wait(0.3):
            event = self._calls.submit(key, body)
        if event.outcome == Outcome.OK:
            self._open.append(event.value["job"])
            if self._random.random() < 0.2:
                self._calls.submit(key, body)

    def _read_or_cancel(self, job: str) -> None:
        cancel = self._random.random() < 0.015
        event = self._calls.cancel(job) if cancel else self._calls.read(job)
        if event.outcome == Outcome.OK and JobState(event.value["state"]).terminal:
            self._open.remove(job)
