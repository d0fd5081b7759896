import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from contract.access import Role
from contract.jobs import Job, JobState
from contract.training import Budget
from tidepool_client import ApiError, Client, JobUnsuccessful, TooLarge
from tidepool_client.files import media_type

JPEG, PNG = b"\xff\xd8\xff\xe0", b"\x89PNG\r\n"
ALIAS = {
    "alias": "production",
    "version": 2,
    "versions": {"2": 100},
    "shadow": None,
    "updated_at": "2026-01-01T00:00:00Z",
}
POOL = {
    "name": "inference",
    "mode": "auto",
    "replicas": {"desired": 3, "ready": None, "draining": None, "min": 0, "max": 4},
    "queue": {"waiting": 4, "running": 1, "oldest_s": 2.5},
    "policy": {"min": 0, "max": 4},
}
RESULT = {"predictions": [{"label": "cat", "score": 0.9}], "error": None}


def job(state: JobState = JobState.QUEUED, **fields: Any) -> dict[str, Any]:
    empty = dict.fromkeys(("result", "error", "started_at", "finished_at", "deadline_at"))
    known = {"id": "j1", "kind": "train", "state": state, "spec": {}, "progress": {"fraction": 0.5, "message": "epoch"}}
    counts = {"priority": 0, "attempt": 1, "max_attempts": 3, "created_at": "2026-01-01T00:00:00Z"}
    return empty | known | counts | fields


class Server:
    """Returns its responses in order, repeating the last one, and records the requests."""

    def __init__(self, *responses: httpx.Response) -> None:
        self.requests: list[httpx.Request] = []
        self._responses = list(responses)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.requests.append(request)
        return self._responses.pop(0) if len(self._responses) > 1 else self._responses[0]

    @property
    def client(self) -> Client:
        return Client("http://tidepool", "tp_key", transport=httpx.MockTransport(self))


def test_an_upload_streams_the_archive_and_reports_progress(tmp_path: Path) -> None:
    archive, sent = tmp_path / "cats.zip", []
    archive.write_bytes(bytes(200_000))
    server = Server(httpx.Response(202, json=job()))
    uploaded = server.client.datasets.upload(
        "cats", archive, spec={"split": {"seed": 1}}, on_bytes=lambda done, size: sent.append((done, size))
    )
    (request,) = server.requests
    assert uploaded.id == "j1"
    assert request.url.path == "/v1/datasets/cats/versions"
    assert b'name="archive"; filename="cats.zip"' in request.content
    assert b'{"split": {"seed": 1}}' in request.content
    assert sent[0] == (65_536, 200_000)
    assert sent[-1] == (200_000, 200_000)


def test_a_retried_upload_sends_the_whole_file_again(tmp_path: Path) -> None:
    archive = tmp_path / "cats.zip"
    archive.write_bytes(b"all of it")
    server = Server(httpx.Response(503, headers={"Retry-After": "0"}), httpx.Response(202, json=job()))
    server.client.datasets.upload("cats", archive)
    first, second = server.requests
    assert b"all of it" in first.content
    assert b"all of it" in second.content
    assert first.headers["Idempotency-Key"] == second.headers["Idempotency-Key"]


def test_train_sends_only_the_given_fields() -> None:
    server = Server(httpx.Response(202, json=job()))
    server.client.train(dataset="cats@1", model="cat-cnn", epochs=3)
    spec = {"dataset": "cats@1", "model": "cat-cnn", "epochs": 3}
    assert json.loads(server.requests[0].content) == {"kind": "train", "spec": spec}


def test_values_of_the_contract_can_be_sent() -> None:
    server = Server(httpx.Response(202, json=job()))
    server.client.train("cats", budget=Budget(minutes=5))
    assert json.loads(server.requests[0].content)["spec"]["budget"] == {"minutes": 5.0}


def test_evaluate_sends_only_the_given_fields() -> None:
    server = Server(httpx.Response(202, json=job(kind="evaluate")))
    server.client.evaluate(model="cat-cnn@2", dataset="cats", compare_with="cat-cnn@production")
    spec = {"model": "cat-cnn@2", "dataset": "cats", "compare_with": "cat-cnn@production"}
    assert json.loads(server.requests[0].content) == {"kind": "evaluate", "spec": spec}


def test_two_posts_have_two_idempotency_keys() -> None:
    server = Server(httpx.Response(202, json=job()))
    for _ in range(2):
        server.client.train(dataset="cats@1", model="cat-cnn")
    assert len({request.headers["Idempotency-Key"] for request in server.requests}) == 2


def test_cancel_posts_to_the_job() -> None:
    server = Server(httpx.Response(202, json=job(JobState.CANCELLED)))
    assert server.client.jobs.cancel("j1").state is JobState.CANCELLED
    assert (server.requests[0].method, server.requests[0].url.path) == ("POST", "/v1/jobs/j1/cancel")


def test_wait_polls_until_the_job_ends() -> None:
    states = (JobState.QUEUED, JobState.RUNNING, JobState.SUCCEEDED)
    server = Server(*(httpx.Response(200, json=job(state)) for state in states))
    assert server.client.jobs.wait("j1").state is JobState.SUCCEEDED
    assert [request.url.params["wait"] for request in server.requests] == ["30.0"] * 3


def test_wait_reports_the_progress_of_every_poll() -> None:
    seen: list[Job] = []
    server = Server(*(httpx.Response(200, json=job(state)) for state in (JobState.RUNNING, JobState.SUCCEEDED)))
    server.client.jobs.wait("j1", seen.append)
    assert [(polled.state, polled.progress.fraction) for polled in seen] == [("running", 0.5), ("succeeded", 0.5)]


@pytest.mark.parametrize("state", [JobState.FAILED, JobState.CANCELLED, JobState.EXPIRED])
def test_wait_raises_an_error_if_the_job_does_not_succeed(state: JobState) -> None:
    server = Server(httpx.Response(200, json=job(state, error={"code": "bad_dataset", "message": "one class only"})))
    with pytest.raises(JobUnsuccessful, match=f"train job j1 {state}: one class only") as caught:
        server.client.jobs.wait("j1")
    assert caught.value.job.state is state


def test_a_key_is_created_with_what_is_given() -> None:
    key = {"id": "k1", "name": "page", "scopes": ["predict"], "created_at": "2026-01-01T00:00:00Z", "secret": "tp_1"}
    server = Server(httpx.Response(201, json=key))
    server.client.keys.create("page", scopes=["predict"], origins=["https://app.example"])
    server.client.keys.create("ann", role=Role.VIEWER, expires_at=datetime(2027, 1, 1, tzinfo=UTC))
    assert [json.loads(request.content) for request in server.requests] == [
        {"name": "page", "scopes": ["predict"], "origins": ["https://app.example"]},
        {"name": "ann", "role": "viewer", "expires_at": "2027-01-01T00:00:00+00:00"},
    ]


def test_pools_are_listed() -> None:
    server = Server(httpx.Response(200, json={"items": [POOL], "next": None}))
    (pool,) = server.client.pools.list()
    assert (pool.name, pool.replicas.ready, pool.queue.waiting) == ("inference", None, 4)


def test_scale_and_autoscale_patch_the_pool() -> None:
    server = Server(httpx.Response(200, json=POOL))
    server.client.pools.scale("inference", 3)
    server.client.pools.autoscale("inference", min=0, max=4, utilization=None)
    assert [(request.method, request.url.path) for request in server.requests] == [("PATCH", "/v1/pools/inference")] * 2
    assert [json.loads(request.content) for request in server.requests] == [
        {"mode": "manual", "replicas": 3},
        {"mode": "auto", "min": 0, "max": 4, "utilization": None},
    ]


def test_the_history_of_a_pool_is_listed() -> None:
    change = {"at": "2026-01-01T00:00:00Z", "desired": 3, "ready": 1, "waiting": 4, "running": 0, "reason": "4 wait"}
    server = Server(httpx.Response(200, json={"items": [change], "next": "7"}))
    assert [change.reason for change in server.client.pools.history("inference", limit=1)] == ["4 wait"]
    assert server.requests[0].url.params["limit"] == "1"


def test_an_alias_is_set() -> None:
    server = Server(httpx.Response(200, json=ALIAS))
    assert server.client.models.set_alias("cat-cnn", "production", 2).version == 2
    (request,) = server.requests
    assert (request.method, request.url.path) == ("PUT", "/v1/models/cat-cnn/aliases/production")
    assert json.loads(request.content) == {"version": 2}


def test_an_alias_is_split() -> None:
    server = Server(httpx.Response(200, json=ALIAS | {"versions": {"2": 90, "3": 10}, "shadow": 1}))

    alias = server.client.models.set_alias("cat-cnn", "production", {2: 90, 3: 10}, shadow=1)

    assert (alias.versions, alias.shadow) == ({2: 90, 3: 10}, 1)
    assert json.loads(server.requests[0].content) == {"versions": {"2": 90, "3": 10}, "shadow": 1}


@pytest.mark.parametrize("metadata", [None, {"labels": ["cat", "dog"]}])
def test_a_model_is_uploaded(tmp_path: Path, metadata: dict[str, Any] | None) -> None:
    file = tmp_path / "cats.onnx"
    file.write_bytes(b"a graph")
    server = Server(httpx.Response(202, json=job(kind="vet")))

    assert server.client.models.upload("cat-vit", file, metadata=metadata).kind == "vet"

    (request,) = server.requests
    assert (request.method, request.url.path) == ("POST", "/v1/models/cat-vit/versions")
    assert b'name="model"; filename="cats.onnx"' in request.content
    assert (b'{"labels": ["cat", "dog"]}' in request.content) == (metadata is not None)
    assert request.headers["Idempotency-Key"]


def test_one_image_is_predicted() -> None:
    timing = {"queue": 0.1, "inference": 0.2, "total": 0.3}
    body = {"model": "cat-cnn", "version": 1, "predictions": RESULT["predictions"], "timing_ms": timing}
    server = Server(httpx.Response(200, json=body))
    assert server.client.predict("cat-cnn@production", JPEG).predictions[0].label == "cat"
    (request,) = server.requests
    assert dict(request.url.params) == {"top_k": "1", "alias": "production"}
    assert (request.headers["Content-Type"], request.content) == ("image/jpeg", JPEG)
    assert "X-Tidepool-No-Review" not in request.headers


def test_an_image_can_be_kept_out_of_the_review_queue() -> None:
    timing = {"queue": 0.1, "inference": 0.2, "total": 0.3}
    body = {"id": "r-1", "model": "cat-cnn", "version": 1, "predictions": RESULT["predictions"], "timing_ms": timing}
    server = Server(httpx.Response(200, json=body))

    assert server.client.models.predict("cat-cnn", JPEG, may_review=False).id == "r-1"
    assert server.requests[0].headers["X-Tidepool-No-Review"] == "1"


def test_the_card_of_a_version_is_read() -> None:
    server = Server(httpx.Response(200, text="# cat-cnn, version 3"))

    assert server.client.models.card("cat-cnn@3") == "# cat-cnn, version 3"
    assert server.requests[0].url.path == "/v1/models/cat-cnn/versions/3/card"


@pytest.mark.parametrize("variant", [None, "int8"])
def test_a_version_is_exported_to_a_file(variant: Any, tmp_path: Path) -> None:
    server = Server(httpx.Response(200, content=b"a zip"))

    server.client.models.export("cat-cnn@3", tmp_path / "cat.zip", variant=variant)

    assert [file.name for file in tmp_path.iterdir()] == ["cat.zip"]
    assert (tmp_path / "cat.zip").read_bytes() == b"a zip"
    assert server.requests[0].url.path == "/v1/models/cat-cnn/versions/3/export"
    assert dict(server.requests[0].url.params) == ({"variant": variant} if variant else {})


def test_a_failed_export_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(ApiError):
        Server(httpx.Response(404)).client.models.export("cat-cnn@3", tmp_path / "cat.zip")

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("method", "call"), [("PUT", "pin_variant"), ("DELETE", "unpin_variant")])
def test_a_variant_is_pinned_and_unpinned(method: str, call: str) -> None:
    version = {"name": "cat-cnn", "version": 3, "job": "j1", "created_at": "2026-01-01T00:00:00Z", "serving": "fp32"}
    server = Server(httpx.Response(200, json=version))

    assert getattr(server.client.models, call)("cat-cnn@3", "fp32").serving == "fp32"
    path = "/v1/models/cat-cnn/versions/3/variants/fp32/serving"
    assert (server.requests[0].method, server.requests[0].url.path) == (method, path)


def test_a_quarantine_is_lifted() -> None:
    version = {"name": "cat-cnn", "version": 3, "job": "j1", "created_at": "2026-01-01T00:00:00Z"}
    server = Server(httpx.Response(200, json=version))

    assert server.client.models.lift_quarantine("cat-cnn@3").status == "ready"
    assert (server.requests[0].method, server.requests[0].url.path) == (
        "DELETE",
        "/v1/models/cat-cnn/versions/3/quarantine",
    )


def test_many_images_are_predicted_in_one_request() -> None:
    server = Server(httpx.Response(200, json={"results": [RESULT, RESULT]}))
    results = server.client.models.predict_many("cat-cnn@2", [JPEG, PNG])
    assert [result.predictions[0].label for result in results if result.predictions] == ["cat", "cat"]
    (request,) = server.requests
    assert re.findall(rb"Content-Type: (.*)\r\n", request.content) == [b"image/jpeg", b"image/png"]


def test_a_request_that_is_too_large_is_split_in_half() -> None:
    def serve(request: httpx.Request) -> httpx.Response:
        count = request.read().count(b'name="image"')
        return httpx.Response(413) if count > 2 else httpx.Response(200, json={"results": [RESULT] * count})

    client = Client("http://tidepool", "tp_key", transport=httpx.MockTransport(serve))
    assert len(client.models.predict_many("cat-cnn", [JPEG] * 7)) == 7


def test_one_image_that_is_too_large_raises_an_error() -> None:
    with pytest.raises(TooLarge):
        Server(httpx.Response(413)).client.models.predict_many("cat-cnn", [JPEG])


@pytest.mark.parametrize(
    ("content", "expected"),
    [(JPEG, "image/jpeg"), (PNG, "image/png"), (b"RIFF0000WEBP", "image/webp"), (b"BM", "image/bmp")],
)
def test_the_media_type_follows_from_the_first_bytes(content: bytes, expected: str) -> None:
    assert media_type(content) == expected
    assert media_type(b"text") == "application/octet-stream"
