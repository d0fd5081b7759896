"""`tidepool jobs`"""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from contract.jobs import JobState
from tests.unit.clients.test_client import job
from tests.unit.tidepool.cli.conftest import Deployment, run
from tidepool.cli.job_log import until_quiet

TIMES = {"started_at": "2026-01-01T00:00:10Z", "finished_at": "2026-01-01T00:01:00Z"}
SPEC = {"dataset": "pets@1", "model": "net", "seed": 0}
DONE = job(JobState.SUCCEEDED, spec=SPEC, result={"model": "net@3"}, **TIMES)
FAILED = job(JobState.FAILED, spec=SPEC, error={"code": "job_failed", "message": "the loss is not finite"}, **TIMES)
EVENTS = (
    ("state", {"state": "running", "attempt": 2}),
    ("progress", {"fraction": 0.5, "message": "epoch 1/2"}),
    ("metrics", {"epoch": 1, "train_loss": 0.51234, "val_loss": None}),
    ("log", {"message": "saved a checkpoint"}),
    ("state", {"state": "failed", "attempt": 2, "error": {"code": "refused", "message": "the loss is not finite"}}),
)


def stream() -> str:
    events = enumerate(EVENTS, 1)
    at = "2026-01-01T00:00:00Z"
    return "".join(
        f"id: {number}\nevent: {kind}\ndata: {json.dumps({'at': at, 'data': data})}\n\n"
        for number, (kind, data) in events
    )


def test_ls_shows_what_jobs_are_about(deployment: Deployment) -> None:
    deployment.on("GET", "/v1/jobs", {"items": [DONE, FAILED], "next": None})

    result = run("jobs", "ls", "--state", "failed", "--kind", "train", "--model", "net", "-n", "2")

    row = result.out.splitlines()[1].split()
    assert (row[:6], row[-2:]) == (["j1", "train", "pets@1", "→", "net", "succeeded"], ["50", "s"])
    assert "The newest 2 jobs are shown" in result.err
    params = {"kind": "train", "state": "failed", "model": "net", "limit": "2"}
    assert dict(deployment.requests[0].url.params) == params
    assert [row["id"] for row in run("jobs", "ls", "--json").json] == ["j1", "j1"]


def test_show_says_why_a_job_failed_and_what_to_do(deployment: Deployment) -> None:
    deployment.on("GET", "/v1/jobs/j1", FAILED)

    text = run("jobs", "show", "j1").out

    assert text.startswith("train job j1 is failed\n  because: the loss is not finite (job_failed)\n")
    assert "  dataset: pets@1\n  model: net\n" in text
    assert text.endswith("Run it again: tidepool jobs retry j1\n")
    assert run("jobs", "show", "j1", "--json").json == FAILED | {"project": "default", "parent": None, "pipeline": None}


def test_show_lists_the_trials_of_a_search(deployment: Deployment) -> None:
    trial = {"number": 1, "parameters": {"optimizer.lr": 0.01}, "fold": None, "training": SPEC}
    fold = {"number": 0, "parameters": {}, "fold": {"number": 0, "of": 5}, "training": SPEC}
    deployment.on("GET", "/v1/jobs/j1", DONE | {"spec": SPEC | {"search": {"trials": 4}}})
    ended = job(JobState.SUCCEEDED, spec=trial, kind="trial", parent="j1", result={"value": 0.75})
    running = job(JobState.RUNNING, spec=fold, kind="trial", parent="j1")
    deployment.on("GET", "/v1/jobs", {"items": [ended, running], "next": None})

    lines = run("jobs", "show", "j1").out.splitlines()

    assert dict(deployment.requests[-1].url.params)["parent"] == "j1"
    assert "fold 1 of 5" in lines[-2]
    assert lines[-1].split() == ["1", "j1", "succeeded", "50%", "optimizer.lr=0.01", "0.75"]
    run("jobs", "ls", "--parent", "j1")
    assert dict(deployment.requests[-1].url.params)["parent"] == "j1"


def test_a_job_that_was_refused_for_its_data_is_not_worth_a_retry(deployment: Deployment) -> None:
    error = {"code": "bad_dataset", "message": "no images were found"}
    deployment.on("GET", "/v1/jobs/j1", job(JobState.FAILED, error=error))

    assert "retry" not in run("jobs", "show", "j1").out


def test_show_leads_to_the_result(deployment: Deployment) -> None:
    deployment.on("GET", "/v1/jobs/j1", DONE)

    assert run("jobs", "show", "j1").out.endswith("Its result: tidepool models show net@3\n")


def test_logs_print_each_event(deployment: Deployment) -> None:
    deployment.on("GET", "/v1/jobs/j1", FAILED)
    deployment.on("GET", "/v1/jobs/j1/events", stream())

    result = run("jobs", "logs", "j1")

    assert result.code == 0
    assert [line[10:] for line in result.out.splitlines()] == [
        "running, attempt 2",
        " 50%  epoch 1/2",
        "epoch 1  train_loss 0.5123",
        "saved a checkpoint",
        "failed, attempt 2: the loss is not finite",
    ]
    lines = [json.loads(line) for line in run("jobs", "logs", "j1", "--json").out.splitlines()]
    assert [line["kind"] for line in lines] == [kind for kind, _ in EVENTS]


def test_following_a_job_that_fails_has_its_exit_code(deployment: Deployment) -> None:
    deployment.on("GET", "/v1/jobs/j1", job(JobState.RUNNING), FAILED)
    deployment.on("GET", "/v1/jobs/j1/events", stream())

    result = run("jobs", "logs", "-f", "j1")

    assert (result.code, result.err) == (4, "Run it again: tidepool jobs retry j1\n")


def test_following_a_job_that_succeeds_has_none(deployment: Deployment) -> None:
    deployment.on("GET", "/v1/jobs/j1", job(JobState.RUNNING), DONE)
    deployment.on("GET", "/v1/jobs/j1/events", stream())

    result = run("jobs", "logs", "-f", "j1")

    assert (result.code, result.err) == (0, "Its result: tidepool models show net@3\n")


def test_the_log_of_a_running_job_ends_where_it_is() -> None:
    def endless() -> Iterator[int]:
        yield from (1, 2)
        time.sleep(60)

    assert list(until_quiet(endless(), 0.2)) == [1, 2]


def test_the_log_of_a_job_that_goes_on_saying_things_ends() -> None:
    def chatty() -> Iterator[int]:
        yield from range(1000)
        while True:
            time.sleep(0.1)
            yield 1000

    items = list(until_quiet(chatty(), 0.3))

    assert items[:1000] == list(range(1000))
    assert len(items) < 1010


def test_an_error_in_the_log_is_raised() -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise LookupError

    items = until_quiet(broken(), 10)
    assert next(items) == 1
    with pytest.raises(LookupError):
        next(items)


def test_the_output_is_written_to_a_file_and_the_job_deleted(deployment: Deployment, environment: Path) -> None:
    deployment.on("GET", "/v1/jobs/j1", job(JobState.SUCCEEDED, spec={"format": "parquet"}))
    deployment.on("GET", "/v1/jobs/j1/output", httpx.Response(200, content=b"rows"))
    deployment.on("DELETE", "/v1/jobs/j1", None, status=204)

    assert run("jobs", "output", "j1").out == "The rows are in j1.parquet, 1 KiB.\n"
    assert run("jobs", "output", "j1", "-o", "rows").code == 0
    assert run("jobs", "rm", "j1").err == "Deleted the job j1.\n"

    assert (environment / "j1.parquet").read_bytes() == (environment / "rows").read_bytes() == b"rows"
    assert deployment.paths[-1] == "DELETE /v1/jobs/j1"


def test_cancel_and_retry(deployment: Deployment) -> None:
    deployment.on("POST", "/v1/jobs/j1/cancel", job(JobState.RUNNING), job(JobState.CANCELLED), status=202)
    deployment.on("POST", "/v1/jobs/j1/retry", job(id="j2"), status=202)
    deployment.on("GET", "/v1/jobs/j2", DONE | {"id": "j2"})

    assert run("jobs", "cancel", "j1", "--keep-best").out == "The train job j1 ends within seconds.\n"
    assert run("jobs", "cancel", "j1").out == "The train job j1 is cancelled.\n"
    assert run("jobs", "retry", "j1").out.splitlines()[0] == "The train job j2 is queued."
    assert run("jobs", "retry", "j1", "--follow", "--json").json["state"] == "succeeded"
    assert deployment.bodies_of("POST /v1/jobs/j1/cancel") == [{"keep_best": True}, {"keep_best": False}]
