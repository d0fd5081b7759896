"""/v1/images/{sha256}"""

import csv
import io
import json
from pathlib import Path

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from contract.access import DEFAULT_PROJECT
from contract.artifacts import Bucket
from contract.audit import AuditPage
from contract.image_index import ImageHolding
from contract.jobs import Job, JobKind, JobState
from contract.kinds.evaluate import EvaluateRequest, EvaluationOutput
from contract.kinds.predict import PredictionOutput, PredictRequest
from contract.references import Reference
from services.gateway.images import everywhere
from services.preprocess.erasing import erase
from services.storage.stores import Stores
from tests.examples import DATASET_MANIFEST, EVALUATION_REPORT, MODEL_MANIFEST, PREPROCESS_REQUEST, TRAIN_REQUEST
from tests.support.erasures import Erasures, collect, sha256_of, traces
from tests.support.images import png
from tests.support.job_runs import run_due
from tests.support.problems import problem
from tests.support.publication import publish
from tests.support.revisions import Revisions

pytestmark = pytest.mark.anyio

IMAGE = png(99)
FILES = {
    "train/cat/1.png": png(1),
    "train/cat/secret.png": IMAGE,
    "train/dog/1.png": png(2),
    "test/cat/2.png": png(3),
    "test/dog/copy.png": IMAGE,
}
PATH = f"/v1/images/{sha256_of(IMAGE)}"


@pytest.fixture
def erasures(stores: Stores, tmp_path: Path) -> Erasures:
    made = Erasures(stores, tmp_path)
    made.prepare(FILES)
    return made


async def holding(client: httpx.AsyncClient) -> ImageHolding:
    response = await client.get(PATH)
    assert response.status_code == 200, response.text
    return ImageHolding.model_validate_json(response.content)


def predict(stores: Stores, source: dict[str, str], output: bytes, form: str = "jsonl") -> str:
    """Publish the output of a batch prediction of pet-cnn@1; return the job."""
    spec = {"model": "pet-cnn@1", "input": source, "format": form}
    request = PredictRequest.model_validate({"kind": "predict", "spec": spec})
    artifact = stores.objects.put(Bucket.JOBS, f"{sha256_of(output)}/attempts/1/out", output)
    outcome = PredictionOutput(artifact=artifact, count=2, failed=0, metrics=None)
    return publish(stores, request, outcome).id


async def test_everything_that_holds_an_image_is_named(
    client: httpx.AsyncClient, stores: Stores, erasures: Erasures
) -> None:
    # given a model, a prediction of a split, one of an archive with the image, one without, and an evaluation
    publish(stores, TRAIN_REQUEST, MODEL_MANIFEST)
    row = json.dumps({"image": "a.png", "sha256": sha256_of(IMAGE)}).encode()
    other = json.dumps({"image": "a.png", "sha256": sha256_of(png(1))}).encode()
    of_split = predict(stores, {"dataset": "pets@1", "split": "test"}, b"")
    of_archive = predict(stores, {"upload": "any"}, row)
    predict(stores, {"upload": "any"}, other + b"\n" + other)
    predict(stores, {"dataset": "pets@1", "split": "val"}, other)
    spec = {"model": "pet-cnn@1", "dataset": "pets@1", "split": "train"}
    request = EvaluateRequest.model_validate({"kind": "evaluate", "spec": spec})
    artifact = stores.objects.put(Bucket.JOBS, "evaluation/attempts/1/out", row)
    judged = publish(stores, request, EvaluationOutput(artifact=artifact, report=EVALUATION_REPORT)).id

    answer = await holding(client)

    assert [(image.dataset, image.path, image.label, image.split) for image in answer.occurrences] == [
        ("pets@1", "train/cat/secret.png", "cat", "train"),
        ("pets@1", "test/dog/copy.png", "dog", "test"),
    ]
    assert answer.versions == ("pets@1",)
    assert answer.models == ("pet-cnn@1",)
    assert answer.predictions == (of_archive, of_split)
    assert answer.evaluations == (judged,)
    assert (answer.reviews, answer.erasing, answer.not_searched) == ((), None, ())


async def test_a_deletion_is_a_job_that_a_repetition_does_not_start_twice(
    client: httpx.AsyncClient, stores: Stores, erasures: Erasures, tmp_path: Path
) -> None:
    # when it is asked for twice
    first, second = [await client.delete(PATH) for _ in range(2)]

    # then there is one job
    assert (first.status_code, second.status_code) == (202, 202)
    job = Job.model_validate_json(first.content)
    assert job.kind == JobKind.ERASE
    assert job.id == Job.model_validate_json(second.content).id
    assert first.headers["Location"] == f"/v1/jobs/{job.id}"
    assert (await holding(client)).erasing == job.id
    audit = AuditPage.model_validate_json((await client.get("/v1/audit")).content)
    actions = [(entry.action, entry.subject) for entry in audit.items]
    assert actions.count(("delete", PATH.removeprefix("/v1/"))) == 1

    # and when it has run, the image is not found by any path, also not with a cached copy
    copy = f"/v1/datasets/pets/versions/1{PATH.removeprefix('/v1')}"
    etag = (await client.get(f"{copy}/thumbnail")).headers["ETag"]
    run_due(stores, JobKind.ERASE, erase, tmp_path / "runs")
    assert stores.of(DEFAULT_PROJECT).jobs.get(job.id).state == JobState.SUCCEEDED
    for answer in (await client.get(PATH), await client.delete(PATH)):
        problem(answer, 404, "not_found")
    for part, tag in (("", ""), ("/thumbnail", etag), ("/original", f'"{sha256_of(IMAGE)}"')):
        problem(await client.get(copy + part, headers={"If-None-Match": tag}), 404, "not_found")
    version = (await client.get("/v1/datasets/pets/versions/1")).json()
    assert (version["erased"], version["counts"]) == (2, {"train": 2, "val": 0, "test": 1})


async def test_a_row_in_any_format_names_a_prediction(
    client: httpx.AsyncClient, stores: Stores, erasures: Erasures
) -> None:
    publish(stores, TRAIN_REQUEST, MODEL_MANIFEST)
    table = pa.table({"image": ["a", "b"], "sha256": [sha256_of(png(1)), sha256_of(IMAGE)]})
    parquet, text = io.BytesIO(), io.StringIO(newline="")
    pq.write_table(table, parquet)
    csv.writer(text).writerows([("image", "sha256"), ("a,\nb", sha256_of(IMAGE))])

    jobs = [
        predict(stores, {"upload": "any"}, parquet.getvalue(), "parquet"),
        predict(stores, {"upload": "any"}, text.getvalue().encode(), "csv"),
    ]

    assert (await holding(client)).predictions == tuple(reversed(jobs))


async def test_what_was_not_searched_is_named(
    client: httpx.AsyncClient, stores: Stores, erasures: Erasures, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(stores, PREPROCESS_REQUEST, DATASET_MANIFEST)  # pets@2, without an index
    publish(stores, TRAIN_REQUEST, MODEL_MANIFEST)
    large = predict(stores, {"upload": "any"}, b"x" * 100)
    monkeypatch.setattr(everywhere, "MOST_OUTPUT_BYTES", 99)

    assert (await holding(client)).not_searched == ("pets@2", large)


async def test_the_erasure_of_an_image_erases_its_copies_in_versions_too(
    client: httpx.AsyncClient, stores: Stores, tmp_path: Path
) -> None:
    # given a version with two copies of an image that was sent to predictions
    sent = sha256_of(png(90))
    revisions = Revisions(stores, tmp_path)
    revisions.prepare(FILES)
    copies = [png(80), png(81)]
    revisions.revised(reviews=[revisions.sample(copy, original=sent, label="cat") for copy in copies])

    # when what was sent is erased, twice
    holding = (await client.get(f"/v1/images/{sent}")).json()
    jobs = [(await client.delete(f"/v1/images/{sent}")).json()["id"] for _ in range(2)]
    run_due(stores, JobKind.ERASE, erase, tmp_path / "erase")
    collect(stores)

    # then the version has no copy
    assert {image["sha256"] for image in holding["occurrences"]} == {sha256_of(copy) for copy in copies}
    assert jobs[0] == jobs[1]
    assert stores.of(DEFAULT_PROJECT).datasets.manifest(Reference.parse("pets@2"))[1].erased == 2
    stores.objects.remove(Bucket.JOBS, [f"reviews/{sha256_of(copy)}" for copy in copies])  # as the collector does later
    assert [traces(stores.objects, copy) for copy in copies] == [[], []]
