"""Versions from versions: submitted, compared and exported over REST."""

import csv
import io
import json
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from anyio import sleep_forever
from starlette.types import Message

from contract.access import DEFAULT_PROJECT
from contract.artifacts import Bucket
from contract.jobs import JobKind
from contract.kinds.predict import PredictionOutput, PredictRequest
from contract.kinds.revise import ReviseSpec
from contract.revisions import VersionDiff
from services.gateway.api import exports
from services.preprocess.revising import revise
from services.preprocess.worker import preprocess
from services.storage.stores import Stores
from tests.support.erasures import preprocess_request, sha256_of, upload
from tests.support.images import png
from tests.support.job_runs import run_due
from tests.support.prediction_data import publish_model
from tests.support.problems import problem
from tests.support.publication import publish
from tests.support.revisions import FILES, Revisions, change

pytestmark = pytest.mark.anyio

VERSIONS = "/v1/datasets/pets/versions"


@pytest.fixture
def revisions(stores: Stores, tmp_path: Path) -> Revisions:
    revisions = Revisions(stores, tmp_path)
    revisions.prepare(FILES)
    return revisions


@pytest.fixture
def revised(revisions: Revisions) -> Revisions:
    """pets@2 has an image of pets@1 with another label, another is gone, and one was added."""
    item = revisions.sample(png(60), label="emu")
    revisions.revised(
        changes=[change(FILES["train/cat/1.png"], "dog"), change(FILES["train/dog/2.png"])], reviews=[item]
    )
    return revisions


@pytest.mark.usefixtures("revisions")
async def test_a_parent_in_the_body_makes_a_revise_job(client: httpx.AsyncClient, stores: Stores) -> None:
    body = {"parent": "pets", "changes": [change(FILES["train/cat/1.png"], "dog")], "test_split": "open"}
    headers = {"Idempotency-Key": "once"}

    response = await client.post(VERSIONS, json=body, headers=headers)
    again = await client.post(VERSIONS, json=body, headers=headers)

    assert (response.status_code, again.json()) == (202, response.json())
    job = stores.of(DEFAULT_PROJECT).jobs.get(response.json()["id"])
    spec = ReviseSpec.model_validate(job.spec)
    assert (job.kind, spec.parent, spec.test_split, response.headers["location"]) == (
        "revise",
        "pets@1",
        "open",
        f"/v1/jobs/{job.id}",
    )


async def test_changes_of_a_version_make_the_next_one(
    client: httpx.AsyncClient, revisions: Revisions, stores: Stores, tmp_path: Path
) -> None:
    response = await client.patch(f"{VERSIONS}/1/images", json={"changes": [change(FILES["train/cat/1.png"], "dog")]})

    assert response.status_code == 202, response.text
    run_due(stores, JobKind.REVISE, revise, tmp_path / "run")
    version = (await client.get(f"{VERSIONS}/2")).json()
    assert version["revision"] == {
        "parent": "pets@1",
        "relabelled": 1,
        "added": 0,
        "removed": 0,
        "held_back": 0,
        "unmatched": 0,
        "test_split": "frozen",
    }
    assert "originals" not in version
    assert "moments" not in version


@pytest.mark.usefixtures("revisions")
@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ({"parent": "pets@9", "reviews": "all"}, 404, "there is no dataset pets@9"),
        ({"parent": "birds@1", "reviews": "all"}, 404, "there is no dataset birds@1"),
        ({"parent": "pets@1"}, 422, 'name what is to change: "changes", "labels" or "reviews"'),
        ({"parent": "pets@1", "changes": [change(png(99), "cat")]}, 422, "pets@1 has no image with the hash"),
        ({"parent": "pets@1", "changes": [{"sha256": "a" * 64}]}, 422, 'give either "label" or "remove": true'),
        ({"parent": "pets@1", "changes": [change(png(1), "cat"), change(png(1))]}, 422, "is in several changes"),
        ({"parent": "pets@1", "labels": {"upload": "none"}}, 404, "no such upload"),
        ({"parent": "pets@1", "reviews": "all", "source": {"s3": "s3://photos"}}, 422, "source"),
    ],
)
async def test_a_revision_that_cannot_be_is_refused(
    client: httpx.AsyncClient, body: dict[str, object], status: int, message: str
) -> None:
    code = "not_found" if status == 404 else "invalid"
    assert message in problem(await client.post(VERSIONS, json=body), status, code).detail


async def test_a_parent_of_another_dataset_is_refused(
    client: httpx.AsyncClient, revisions: Revisions, stores: Stores, tmp_path: Path
) -> None:
    revisions.prepare(FILES, dataset="birds")

    response = await client.post(VERSIONS, json={"parent": "birds@1", "reviews": "all"})

    assert "the parent must be a version of pets" in problem(response, 422, "invalid").detail


@pytest.mark.usefixtures("revised")
async def test_a_diff_counts_and_lists_what_differs(client: httpx.AsyncClient) -> None:
    response = await client.get(f"{VERSIONS}/2/diff/1")

    diff = VersionDiff.model_validate_json(response.content)
    assert (diff.added, diff.removed, diff.relabelled, diff.moved, diff.unchanged) == (1, 1, 1, 0, len(FILES) - 2)
    (new, gone, other) = diff.items
    assert (new.change, new.label, new.old_label, new.sha256) == ("added", "emu", None, sha256_of(png(60)))
    assert (gone.change, gone.path, gone.label, gone.old_label) == ("removed", "train/dog/2.png", None, "dog")
    assert (other.change, other.label, other.old_label, other.split) == ("relabelled", "dog", "cat", "train")
    assert diff.counts.relabelled == {"train": {"dog": 1}}
    assert diff.counts.removed == {"train": {"dog": 1}}


@pytest.mark.usefixtures("revised")
async def test_pages_of_a_diff_follow_one_another(client: httpx.AsyncClient) -> None:
    everything = (await client.get(f"{VERSIONS}/2/diff/1")).json()["items"]
    first = (await client.get(f"{VERSIONS}/2/diff/1", params={"limit": 2})).json()
    second = (await client.get(f"{VERSIONS}/2/diff/1", params={"limit": 2, "cursor": first["next"]})).json()

    assert first["items"] + second["items"] == everything
    assert second["next"] is None
    relabelled = (await client.get(f"{VERSIONS}/2/diff/1", params={"change": "relabelled"})).json()["items"]
    assert relabelled == everything[2:]
    problem(await client.get(f"{VERSIONS}/2/diff/1", params={"cursor": "x"}), 422, "invalid")
    problem(await client.get(f"{VERSIONS}/2/diff/7"), 404, "not_found")


async def test_an_exported_zip_is_the_dataset(
    client: httpx.AsyncClient, revised: Revisions, stores: Stores, tmp_path: Path
) -> None:
    # when the folders are exported, and prepared again
    response = await client.get(f"{VERSIONS}/2/export", params={"format": "imagefolder"})

    assert response.headers["content-disposition"] == 'attachment; filename="pets-2.zip"'
    archive = tmp_path / "again.zip"
    archive.write_bytes(response.content)
    stores.of(DEFAULT_PROJECT).jobs.create(preprocess_request(upload(stores, archive), "again"))
    run_due(stores, JobKind.PREPROCESS, preprocess, tmp_path / "run")

    # then the data are the same
    before, after = revised.manifest("pets@2"), revised.manifest("again@1")
    assert after.data_sha256 == before.data_sha256
    assert (after.counts_by_class, after.mean, after.std) == (before.counts_by_class, before.mean, before.std)


@pytest.mark.usefixtures("revised")
async def test_coco_has_an_image_and_a_category_for_each_annotation(client: httpx.AsyncClient) -> None:
    response = await client.get(f"{VERSIONS}/2/export", params={"format": "coco"})

    archive = zipfile.ZipFile(io.BytesIO(response.content))
    document = json.loads(archive.read("annotations/labels_train.json"))
    names = {category["id"]: category["name"] for category in document["categories"]}
    files = {image["id"]: image["file_name"] for image in document["images"]}
    assert sorted(names) == [1, 2, 3]
    assert len(document["annotations"]) == len(files)
    labels = {files[one["image_id"]]: names[one["category_id"]] for one in document["annotations"]}
    assert {f"images/train/{name}" for name in labels} <= set(archive.namelist())
    assert all(name.startswith(f"{label}/") for name, label in labels.items())


@pytest.mark.usefixtures("revised")
async def test_tables_have_a_row_for_each_image(client: httpx.AsyncClient) -> None:
    table = (await client.get(f"{VERSIONS}/2/export", params={"format": "csv"})).text
    tasks = (await client.get(f"{VERSIONS}/2/export", params={"format": "labelstudio", "image_root": "s3://b/"})).json()

    rows = {row["sha256"]: row for row in csv.DictReader(io.StringIO(table))}
    assert len(rows) == len(tasks) == len(FILES)
    for task in tasks:
        row = rows[task["data"]["sha256"]]
        assert task["data"]["image"] == f"s3://b/{row['file']}"
        assert task["annotations"][0]["result"][0]["value"] == {"choices": [row["label"]]}


@pytest.mark.usefixtures("revisions")
async def test_answers_of_a_model_are_sent_to_label_studio(client: httpx.AsyncClient, stores: Stores) -> None:
    # given a batch prediction of one image
    row = {"image": 0, "sha256": sha256_of(FILES["train/cat/1.png"]), "predictions": [{"label": "dog", "score": 0.75}]}
    publish_model(stores)
    file = stores.objects.put(Bucket.JOBS, "rows.jsonl", json.dumps(row).encode() + b"\n")
    spec = {"model": "pet-cnn@1", "input": {"dataset": "pets@1", "split": "train"}}
    request = PredictRequest.model_validate({"kind": JobKind.PREDICT, "spec": spec})
    job = publish(stores, request, PredictionOutput(artifact=file, count=1, failed=0, metrics=None))

    # when the version is exported with it
    params = {"format": "labelstudio", "predictions": job.id}
    tasks = (await client.get(f"{VERSIONS}/1/export", params=params)).json()

    # then the task of that image has the answer
    predictions = {task["data"]["path"]: task["predictions"] for task in tasks if task["predictions"]}
    (prediction,) = predictions.pop("train/cat/1.png")
    assert predictions == {}
    assert (prediction["model_version"], prediction["score"]) == ("pet-cnn@1", 0.75)
    assert prediction["result"][0]["value"] == {"choices": ["dog"]}


async def test_an_erased_image_is_in_no_export(client: httpx.AsyncClient, revised: Revisions) -> None:
    erased = FILES["train/cat/3.png"]
    revised.erase(erased)

    for form in ("imagefolder", "coco"):
        content = (await client.get(f"{VERSIONS}/2/export", params={"format": form})).content
        assert erased not in content
    for form in ("csv", "labelstudio"):
        assert sha256_of(erased) not in (await client.get(f"{VERSIONS}/2/export", params={"format": form})).text


@pytest.mark.usefixtures("revisions")
async def test_so_many_exports_run_at_once(client: httpx.AsyncClient) -> None:
    url = f"{VERSIONS}/1/export?format=csv"
    with ExitStack() as running:
        for _ in range(exports.MOST_OF_PROJECT):
            running.enter_context(exports._slots.one(DEFAULT_PROJECT))
        assert "of this project" in problem(await client.get(url), 503, "overloaded").detail
    with ExitStack() as running:
        for number in range(exports.MOST_AT_ONCE):
            running.enter_context(exports._slots.one(f"project-{number}"))
        of_a_job = f"{url}&predictions=unknown"  # not looked for without a slot
        assert "try again" in problem(await client.get(of_a_job), 503, "overloaded").detail
    assert (await client.get(url)).status_code == 200


@pytest.mark.parametrize("taken", [0, 3])
async def test_a_client_that_takes_nothing_loses_its_slot(monkeypatch: pytest.MonkeyPatch, taken: int) -> None:
    monkeypatch.setattr(exports, "TAKEN_S", 0.01)

    async def recheck() -> None:
        pass

    sent = list[Message]()

    async def send(message: Message) -> None:
        sent.append(message)
        if len(sent) > taken:
            await sleep_forever()

    def write() -> Iterator[bytes]:
        yield from [b"chunk"] * 9

    chunks = exports._begun("lab", write)  # type: ignore[arg-type]
    assert exports._slots._running["lab"] == 1
    response = exports._Export(chunks, recheck)

    with pytest.raises(TimeoutError):
        await response.stream_response(send)

    assert exports._slots._running["lab"] == 0


async def test_originals_in_a_compressed_tar_are_refused_before_the_first_byte(
    client: httpx.AsyncClient, stores: Stores, tmp_path: Path
) -> None:
    Revisions(stores, tmp_path).prepare(FILES, "tar.gz")

    response = await client.get(f"{VERSIONS}/1/export", params={"format": "imagefolder"})

    assert "compressed tar" in problem(response, 409, "conflict").detail
    assert (await client.get(f"{VERSIONS}/1/export", params={"format": "csv"})).status_code == 200
