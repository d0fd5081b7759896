"""What an erasure changes in the catalog and in jobs, on both databases."""

import csv
import io
import json
import threading
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from contract.access import DEFAULT_PROJECT
from contract.artifacts import Bucket
from contract.datasets import DatasetManifest
from contract.division import Outcome
from contract.errors import Conflict
from contract.evaluation import TrainingImages
from contract.jobs import Job, JobKind, JobRequest, JobState
from contract.kinds.erase import EraseResult
from contract.kinds.evaluate import EvaluateRequest, EvaluationOutput
from contract.kinds.index import DatasetIndex, IndexRequest, IndexSpec
from contract.kinds.predict import PredictionOutput, PredictRequest
from contract.kinds.train import TrainRequest, TrainSpec
from contract.references import Reference
from contract.training import FeatureFile, ModelManifest
from services.preprocess.erasing import erase
from services.storage.database import Database
from services.storage.jobs.jobs import JobFilter
from services.storage.memory_objects import MemoryObjects
from services.storage.stores import Stores
from tests.examples import EVALUATION_REPORT, JUDGED_IMAGE, LABEL_ERROR, LINEAGE, MODEL_MANIFEST, SLOW_IMAGE
from tests.integration.storage.steps import claimed, together
from tests.support.erasures import Erasures, archived, collect, preprocess_request, sha256_of, traces, upload
from tests.support.images import png
from tests.support.job_runs import run_due
from tests.support.publication import publish

ANY = JobFilter()
IMAGE, OTHER, TESTED = png(99), png(1), png(98)
SHA256 = sha256_of(IMAGE)
FILES = {
    "train/cat/1.png": OTHER,
    "train/cat/secret.png": IMAGE,
    "train/dog/1.png": png(2),
    "test/dog/2.png": png(3),
    "test/cat/3.png": TESTED,
}
TRAINING_IMAGES = TrainingImages(
    label_errors=tuple(LABEL_ERROR.model_copy(update={"sha256": sha256_of(file)}) for file in (IMAGE, OTHER)),
    slowest=(SLOW_IMAGE.model_copy(update={"sha256": SHA256}),),
)


@pytest.fixture
def stores(database: Database) -> Stores:
    return Stores(database, MemoryObjects(database.now))


@pytest.fixture
def erasures(stores: Stores, tmp_path: Path) -> Erasures:
    made = Erasures(stores, tmp_path)
    made.prepare(FILES)
    return made


def erased(erasures: Erasures, file: bytes = IMAGE) -> EraseResult:
    job = erasures.erase(file)
    assert job.state == JobState.SUCCEEDED, job.error
    return EraseResult.model_validate(job.result)


def training(model: str = "net", dataset: str = "pets@1") -> TrainRequest:
    return TrainRequest(kind="train", spec=TrainSpec(dataset=dataset, model=model))


def manifest_from(parent: str | None = None, dataset: str = "pets@1", **fields: Any) -> ModelManifest:
    lineage = LINEAGE.model_copy(update={"parent": parent})
    return MODEL_MANIFEST.model_copy(update={"dataset": dataset, "lineage": lineage, **fields})


def mark(stores: Stores, model: str) -> int:
    return stores.of(DEFAULT_PROJECT).models.get(Reference.parse(model)).trained_on_erased


def test_models_that_learned_from_the_image_are_marked(stores: Stores, erasures: Erasures) -> None:
    # given a model of the version, one that starts from it, one of that, and one of another version
    erasures.prepare({name: file for name, file in FILES.items() if file != IMAGE}, dataset="birds")
    publish(stores, training("net"), manifest_from(training_images=TRAINING_IMAGES))
    publish(stores, training("child", "birds@1"), manifest_from("net@1", "birds@1"))
    publish(stores, training("grandchild", "birds@1"), manifest_from("child@1", "birds@1"))
    publish(stores, training("other", "birds@1"), manifest_from("lite0", "birds@1"))

    # when the image is erased, and an image that models were only tested with
    result = erased(erasures)
    tested = erased(erasures, TESTED)

    # then the first three are marked, and no list names the image
    assert (set(result.models), tested.models) == ({"grandchild@1", "child@1", "net@1"}, ())
    assert [mark(stores, f"{name}@1") for name in ("net", "child", "grandchild", "other")] == [1, 1, 1, 0]
    images = stores.of(DEFAULT_PROJECT).models.get(Reference.parse("net@1")).training_images
    assert images is not None
    assert [error.sha256 for error in images.label_errors] == [sha256_of(OTHER)]
    assert images.slowest == ()

    # and a model that is trained now is not marked, unless it starts from one that is
    publish(stores, training("net"), manifest_from())
    publish(stores, training("net"), manifest_from("child@1"))
    assert [mark(stores, f"net@{version}") for version in (2, 3)] == [0, 1]
    erased(erasures, OTHER)
    assert [mark(stores, f"net@{version}") for version in (1, 2, 3)] == [2, 1, 2]


def test_results_of_jobs_no_longer_name_the_image(stores: Stores, erasures: Erasures) -> None:
    judged = JUDGED_IMAGE.model_copy(update={"sha256": SHA256})
    kept = JUDGED_IMAGE.model_copy(update={"sha256": sha256_of(OTHER)})
    report = EVALUATION_REPORT.model_copy(update={"mistakes": (judged, kept)})
    trained = publish(stores, training(), manifest_from(training_images=TRAINING_IMAGES))
    evaluated = publish(stores, evaluation(), EvaluationOutput(artifact=stored(stores, "a", b""), report=report))

    erased(erasures)

    jobs = stores.of(DEFAULT_PROJECT).jobs
    for job in (trained, evaluated):
        assert SHA256 not in json.dumps(jobs.get(job.id).result)
        assert sha256_of(OTHER) in json.dumps(jobs.get(job.id).result)
    counts = [job.result["counts"] for job in jobs.list(ANY, 10).items if job.kind == "preprocess" and job.result]
    assert counts == [{"train": 2, "val": 0, "test": 2}]


def stored(stores: Stores, name: str, data: bytes) -> Any:
    return stores.objects.put(Bucket.JOBS, f"{name}/attempts/1/out", data)


def evaluation() -> EvaluateRequest:
    spec = {"model": "net@1", "dataset": "pets@1", "split": "train"}
    return EvaluateRequest.model_validate({"kind": "evaluate", "spec": spec})


def prediction(source: dict[str, str], form: str = "jsonl") -> PredictRequest:
    spec = {"model": "net@1", "input": source, "format": form}
    return PredictRequest.model_validate({"kind": "predict", "spec": spec})


def lines(rows: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def as_csv(rows: list[dict[str, Any]]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def as_parquet(rows: list[dict[str, Any]]) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), file)
    return file.getvalue()


ROWS = [
    {"image": "train/cat/1.png", "sha256": sha256_of(OTHER), "predicted": "cat"},
    {"image": "train/cat/secret.png", "sha256": SHA256, "predicted": "the secret"},
    {"image": 'a "quoted",\nname.png', "sha256": sha256_of(png(2)), "predicted": "dog"},
]


@pytest.mark.parametrize(("form", "write"), [("jsonl", lines), ("csv", as_csv), ("parquet", as_parquet)])
def test_outputs_lose_the_rows_of_the_image(stores: Stores, erasures: Erasures, form: str, write: Any) -> None:
    # given a prediction with the image, and one without
    outcomes = [
        PredictionOutput(artifact=stored(stores, str(count), write(rows)), count=count, failed=0, metrics=None)
        for count, rows in ((3, ROWS), (2, [ROWS[0], ROWS[2]]))
    ]
    jobs = [publish(stores, prediction({"dataset": "pets@1", "split": "train"}, form), made) for made in outcomes]

    # when it is erased
    result = erased(erasures)
    collect(stores)

    # then both have the same rows, and the first says so
    assert result.outputs == (jobs[0].id,)
    store = stores.of(DEFAULT_PROJECT).jobs
    files = [store.output(job.id) for job in jobs]
    if form == "parquet":
        assert pq.read_table(io.BytesIO(stores.objects.read(files[0]))).to_pylist() == [ROWS[0], ROWS[2]]
    else:
        assert stores.objects.read(files[0]) == stores.objects.read(files[1])
    changed = store.get(jobs[0].id).result
    assert changed is not None
    assert (changed["count"], changed["output"]["sha256"]) == (2, files[0].sha256)
    assert traces(stores.objects, b"the secret", SHA256.encode()) == []


@pytest.mark.parametrize("names", [("1", "0"), (1, 0), ("train/cat/secret.png", "train/cat/1.png")])
def test_outputs_of_older_releases_name_the_image_by_number_or_path(
    stores: Stores, erasures: Erasures, names: tuple[Any, Any]
) -> None:
    # given outputs without hashes, one of another split
    rows = lines([{"image": name} for name in names])
    outcome = PredictionOutput(artifact=stored(stores, "a", rows), count=2, failed=0, metrics=None)
    of_train = publish(stores, prediction({"dataset": "pets@1", "split": "train"}), outcome)
    publish(stores, prediction({"dataset": "pets@1", "split": "test"}), outcome)

    result = erased(erasures)

    assert result.outputs == (of_train.id,)
    assert stores.objects.read(stores.of(DEFAULT_PROJECT).jobs.output(of_train.id)) == lines([{"image": names[1]}])


def test_a_training_that_has_started_keeps_going_and_its_model_is_marked(stores: Stores, erasures: Erasures) -> None:
    # given a running training, and one that waits
    store = stores.of(DEFAULT_PROJECT)
    running, waiting = [store.jobs.create(training(name)) for name in ("running", "waiting")]
    lease = claimed(stores.leases, JobKind.TRAIN).lease

    # when the image is erased before they end
    erased(erasures)
    features = FeatureFile(key="lite0", file=stored(stores, running.id, b"features"))
    stores.leases.finish(lease, manifest_from(training_images=TRAINING_IMAGES, features=features))
    stores.leases.finish(claimed(stores.leases, JobKind.TRAIN).lease, manifest_from())

    # then only the first model is marked, its lists do not name the image, and its features are dropped
    assert (mark(stores, "running@1"), mark(stores, "waiting@1")) == (1, 0)
    result = store.jobs.get(running.id).result
    assert result is not None
    assert SHA256 not in json.dumps(result)
    assert store.datasets.features("pets", "lite0") is None
    assert store.jobs.get(waiting.id).state == JobState.SUCCEEDED


def started(stores: Stores, kind: str, source: str) -> tuple[JobRequest, Outcome]:
    """A request that uses the image, and an outcome that fits it."""
    artifact = stored(stores, "late", lines(ROWS))
    predicted = PredictionOutput(artifact=artifact, count=3, failed=0, metrics=None)
    index = DatasetIndex(index=artifact, data_sha256=None, indexed=3, missing=0, warnings=())
    version: DatasetManifest = stores.of(DEFAULT_PROJECT).datasets.manifest(Reference.parse("pets@1"))[1]
    choices: dict[str, tuple[JobRequest, Outcome]] = {
        "predict split": (prediction({"dataset": "pets@1", "split": "train"}), predicted),
        "predict archive": (prediction({"upload": source}), predicted),
        "evaluate": (evaluation(), EvaluationOutput(artifact=artifact, report=EVALUATION_REPORT)),
        "index": (IndexRequest(kind="index", spec=IndexSpec(dataset="pets@1")), index),
        "preprocess": (preprocess_request(source, "late"), version),
    }
    return choices[kind]


@pytest.mark.parametrize("kind", ["predict split", "predict archive", "evaluate", "index", "preprocess"])
def test_another_job_that_has_read_the_image_publishes_nothing(
    stores: Stores, erasures: Erasures, tmp_path: Path, kind: str
) -> None:
    # given a job that runs
    source = upload(stores, archived(tmp_path, FILES))
    request, outcome = started(stores, kind, source)
    job = stores.of(DEFAULT_PROJECT).jobs.create(request)
    lease = claimed(stores.leases, request.kind).lease

    # when the image is erased before it ends
    erased(erasures)
    before = erasures.manifest()
    with pytest.raises(Conflict, match="start it again"):
        stores.leases.finish(lease, outcome)

    # then it has published nothing, and the same job may, when it is submitted again
    assert erasures.manifest() == before
    stores.leases.fail(lease, Conflict("an image was erased"))
    store = stores.of(DEFAULT_PROJECT).jobs
    assert store.get(job.id).state == JobState.FAILED
    copy: Job = store.create(request)
    assert stores.leases.finish(claimed(stores.leases, request.kind).lease, outcome).id == copy.id


def test_a_job_of_other_data_is_not_disturbed(stores: Stores, erasures: Erasures) -> None:
    erasures.prepare({"train/a/1.png": png(50), "train/b/1.png": png(51)}, dataset="birds")
    stores.of(DEFAULT_PROJECT).jobs.create(training("net", "birds@1"))
    lease = claimed(stores.leases, JobKind.TRAIN).lease

    erased(erasures)

    stores.leases.finish(lease, manifest_from(dataset="birds@1"))
    assert mark(stores, "net@1") == 0


def test_a_version_that_is_deleted_meanwhile_is_ignored(stores: Stores, erasures: Erasures, tmp_path: Path) -> None:
    erasures.prepare(FILES, dataset="birds")
    erasures.submit(IMAGE)

    def slow(task: Any) -> Outcome:
        outcome = erase(task)
        stores.of(DEFAULT_PROJECT).datasets.delete(Reference.parse("birds@1"))
        return outcome

    run_due(stores, JobKind.ERASE, slow, tmp_path / "runs")
    collect(stores)

    assert erasures.manifest().erased == 1
    assert traces(stores.objects, IMAGE) == []


def test_of_two_erasures_that_end_at_once_one_starts_again(stores: Stores, erasures: Erasures, tmp_path: Path) -> None:
    # given two attempts that have searched the same version
    for file in (IMAGE, OTHER):
        erasures.submit(file)
    both_searched = threading.Barrier(2)

    def slow(task: Any) -> Outcome:
        outcome = erase(task)
        if task.folder.name == "attempt-1":
            both_searched.wait(60)
        return outcome

    # when both publish
    attempts = together(2, lambda number: len(run_due(stores, JobKind.ERASE, slow, tmp_path / f"runs-{number}")))
    collect(stores)

    # then one has started again, and both images are gone
    assert sum(attempts) == 3
    jobs = [job for job in stores.of(DEFAULT_PROJECT).jobs.list(ANY, 10).items if job.kind == "erase"]
    assert [(job.state, job.attempt) for job in jobs] == [(JobState.SUCCEEDED, 1)] * 2
    assert erasures.manifest().erased == 2
    assert traces(stores.objects, IMAGE, OTHER) == []


def test_a_version_that_gets_its_index_meanwhile_is_searched(
    stores: Stores, erasures: Erasures, tmp_path: Path
) -> None:
    # given a version without an index
    whole = erasures.manifest()
    older = whole.model_copy(update={"index": None})
    publish(stores, preprocess_request("any", "older"), older)
    erasures.submit(IMAGE)

    # when it gets one after the search
    def slow(task: Any) -> Outcome:
        outcome = erase(task)
        if not indexed:
            index = DatasetIndex(index=whole.index, data_sha256=None, indexed=5, missing=0, warnings=())
            indexed.append(publish(stores, IndexRequest(kind="index", spec=IndexSpec(dataset="older@1")), index))
        return outcome

    indexed: list[Job] = []
    run_due(stores, JobKind.ERASE, slow, tmp_path / "runs")

    assert erasures.manifest("older@1").erased == 1
