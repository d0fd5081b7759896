"""A retry needs everything that the job refers to: what was deleted since is named, for each kind and reference."""

from collections.abc import Callable, Iterator
from typing import Any, get_args

import pytest
from sqlalchemy import update

from contract.access import DEFAULT_PROJECT
from contract.base import Frozen
from contract.datasets import Split
from contract.errors import Conflict, NotFound
from contract.jobs import Job, JobKind
from contract.kinds.erase import EraseRequest, EraseSpec
from contract.kinds.evaluate import EvaluateRequest, EvaluateSpec
from contract.kinds.index import IndexRequest, IndexSpec
from contract.kinds.kind import KindRequest
from contract.kinds.predict import PredictRequest, PredictSpec, SplitInput
from contract.kinds.registry import all_kinds
from contract.kinds.revise import ReviseRequest, ReviseSpec
from contract.kinds.train import TrainRequest, TrainSpec
from contract.references import Noun, Reference, RefersTo, UploadSource, references_in
from services.storage import tables
from services.storage.database import Database
from services.storage.jobs.jobs import Jobs
from services.storage.jobs.leases import Leases
from services.storage.stores import ProjectStores
from tests.examples import (
    BACKBONE_MANIFEST,
    BACKBONE_REQUEST,
    DATASET_MANIFEST,
    MODEL_MANIFEST,
    ONNX_FILE,
    PREPROCESS_REQUEST,
    TRAIN_REQUEST,
    VET_REQUEST,
)
from tests.examples.base import UPLOAD_ID
from tests.integration.storage.steps import claimed, together
from tests.support.publication import add_upload

SAMPLES, OTHER_UPLOAD = (UPLOAD_ID[:-1] + digit for digit in "78")
SPLIT = SplitInput(dataset="birds@1", split=Split.TRAIN)
REQUESTS: dict[str, KindRequest] = {
    "preprocess": PREPROCESS_REQUEST,
    "index": IndexRequest(kind="index", spec=IndexSpec(dataset="birds@1")),
    "train": TrainRequest(kind="train", spec=TrainSpec(dataset="birds@1", model="new")),
    "train from model": TrainRequest(kind="train", spec=TrainSpec(dataset="birds@1", model="new", init_from="cnn@1")),
    "train from backbone": TrainRequest(
        kind="train", spec=TrainSpec(dataset="birds@1", model="new", init_from="brought@1")
    ),
    "train from built-in": TrainRequest(
        kind="train", spec=TrainSpec(dataset="birds@1", model="new", init_from="lite0")
    ),
    "evaluate": EvaluateRequest(
        kind="evaluate", spec=EvaluateSpec(model="cnn@1", dataset="birds@1", split=Split.TRAIN, compare_with="cnn@2")
    ),
    "predict split": PredictRequest(kind="predict", spec=PredictSpec(model="cnn@1", input=SPLIT)),
    "predict upload": PredictRequest(
        kind="predict", spec=PredictSpec(model="cnn@1", input=UploadSource(upload=UPLOAD_ID))
    ),
    "vet": VET_REQUEST.model_copy(
        update={"spec": VET_REQUEST.spec.model_copy(update={"samples_file": UploadSource(upload=SAMPLES)})}
    ),
    "backbone": BACKBONE_REQUEST,
    "revise": ReviseRequest(
        kind="revise",
        spec=ReviseSpec(dataset="birds", parent="birds@1", labels=UploadSource(upload=UPLOAD_ID)),
    ),
    "erase": EraseRequest(kind="erase", spec=EraseSpec(sha256="0" * 64)),
}
CASES = [(name, noun, text) for name, request in REQUESTS.items() for noun, text in references_in(request.spec)]


@pytest.fixture
def stores(database: Database) -> ProjectStores:
    """A project with everything that the requests refer to; nothing else uses it."""
    leases, stores = Leases(database), ProjectStores(DEFAULT_PROJECT, database)
    for upload_id in (UPLOAD_ID, SAMPLES, OTHER_UPLOAD):
        add_upload(database, upload_id)

    def of(request: KindRequest, **changes: object) -> KindRequest:
        return request.model_copy(update={"spec": request.spec.model_copy(update=changes)})

    other = UploadSource(upload=OTHER_UPLOAD)
    model = MODEL_MANIFEST.model_copy(update={"state": ONNX_FILE})
    indexed = DATASET_MANIFEST.model_copy(update={"index": ONNX_FILE})
    for request, manifest in (
        (of(PREPROCESS_REQUEST, dataset="birds", source=other), indexed),
        (of(TRAIN_REQUEST, model="cnn", dataset="birds@1"), model),
        (of(TRAIN_REQUEST, model="cnn", dataset="birds@1"), model),
        (of(BACKBONE_REQUEST, backbone="brought", source=other), BACKBONE_MANIFEST),
    ):
        stores.jobs.create(request)
        leases.finish(claimed(leases, JobKind(request.kind)).lease, manifest)
    return stores


def cancelled(jobs: Jobs, request: KindRequest) -> Job:
    return jobs.cancel(jobs.create(request).id)


def delete(stores: ProjectStores, noun: Noun, text: str) -> None:
    """Delete what a job refers to, as a client does."""
    if noun == "upload":
        stores.uploads.delete(text)
        return
    reference = Reference.parse(text)
    stored = {
        "dataset": stores.datasets,
        "model": stores.models,
        "start": stores.backbones if reference.name == "brought" else stores.models,
    }
    stored[noun].delete(reference)  # type: ignore[attr-defined]


def models_in(annotation: Any) -> Iterator[type[Frozen]]:
    """The models that a type names."""
    if isinstance(annotation, type) and issubclass(annotation, Frozen):
        yield annotation
    for argument in get_args(annotation):
        yield from models_in(argument)


def marks_in(spec: type[Frozen]) -> Iterator[tuple[str, ...]]:
    """The paths of the fields of a spec that are marked as references."""
    for name, field in spec.model_fields.items():
        if any(isinstance(mark, RefersTo) for mark in field.metadata):
            yield (name,)
        yield from ((name, *path) for model in models_in(field.annotation) for path in marks_in(model))


def used_marks(spec: Frozen) -> Iterator[tuple[str, ...]]:
    """The paths of the marked fields that have a value."""
    for name, field in type(spec).model_fields.items():
        child = getattr(spec, name)
        if any(isinstance(mark, RefersTo) for mark in field.metadata) and child is not None:
            yield (name,)
        elif isinstance(child, Frozen):
            yield from ((name, *path) for path in used_marks(child))


def test_the_cases_have_every_reference_of_every_kind() -> None:
    kinds = {kind.name: set(marks_in(kind.spec)) for kind in all_kinds() if kind.submitted}

    used: dict[str, set[tuple[str, ...]]] = {name: set() for name in kinds}
    for request in REQUESTS.values():
        used[request.kind] |= set(used_marks(request.spec))

    assert used == kinds


@pytest.mark.parametrize("name", REQUESTS)
def test_a_job_whose_references_exist_is_retried(stores: ProjectStores, name: str) -> None:
    job = cancelled(stores.jobs, REQUESTS[name])

    assert stores.jobs.retry(job.id).spec == job.spec


@pytest.mark.parametrize(("name", "noun", "text"), CASES, ids=str)
def test_a_retry_names_what_was_deleted(stores: ProjectStores, name: str, noun: Noun, text: str) -> None:
    job = cancelled(stores.jobs, REQUESTS[name])
    delete(stores, noun, text)

    with pytest.raises(Conflict, match=f"{text} was deleted"):
        stores.jobs.retry(job.id)

    # no job was made, and the first one can still be retried
    assert stores.jobs.get(job.id) == job
    with pytest.raises(Conflict, match=f"{text} was deleted"):
        stores.jobs.retry(job.id)


def test_a_retry_names_everything_that_was_deleted(stores: ProjectStores) -> None:
    job = cancelled(stores.jobs, REQUESTS["evaluate"])
    for noun, text in references_in(REQUESTS["evaluate"].spec):
        delete(stores, noun, text)

    with pytest.raises(Conflict, match="the model cnn@1 and the dataset birds@1 and the model cnn@2 were deleted"):
        stores.jobs.retry(job.id)


@pytest.mark.parametrize("name", ["train", "evaluate", "predict split"])
def test_a_retry_says_if_an_erasure_took_the_last_image(stores: ProjectStores, database: Database, name: str) -> None:
    job = cancelled(stores.jobs, REQUESTS[name])
    empty = DATASET_MANIFEST.model_copy(
        update={"shards": {}, "counts": DATASET_MANIFEST.counts.model_copy(update={"train": 0})}
    )
    with database.write() as connection:
        connection.execute(update(tables.dataset_versions).values(manifest=empty.model_dump(mode="json")))

    with pytest.raises(Conflict, match=r"the job cannot run again: the dataset birds@1 has no train"):
        stores.jobs.retry(job.id)


@pytest.mark.parametrize("name", ["preprocess", "train from model", "predict split"])
def test_what_a_retry_needs_is_not_deleted_at_the_same_time(stores: ProjectStores, name: str) -> None:
    job, (noun, text) = cancelled(stores.jobs, REQUESTS[name]), list(references_in(REQUESTS[name].spec))[-1]
    exists: dict[Noun, Callable[[], object]] = {
        "upload": lambda: stores.uploads.get(text),
        "dataset": lambda: stores.datasets.get(Reference.parse(text)),
        "start": lambda: stores.models.get(Reference.parse(text)),
    }

    def act(index: int) -> bool:
        try:
            stores.jobs.retry(job.id) if index else delete(stores, noun, text)
        except Conflict:
            return False
        return True

    deleted, retried = together(2, act)

    assert deleted != retried
    if deleted:
        with pytest.raises(NotFound):
            exists[noun]()
    else:
        exists[noun]()
