"""Vetting jobs, including the examiner process, on valid and invalid files."""

import threading
from pathlib import Path

import numpy as np
import onnx
import pytest

from contract.access import DEFAULT_PROJECT
from contract.errors import Cancelled
from contract.jobs import Job, JobKind, JobState
from contract.kinds.vet import ImageInput, ModelMetadata, VetRequest, VetSpec
from contract.models import ModelCard
from contract.references import Reference, UploadSource
from services.inference.engine.loader import ModelLoader
from services.inference.vetting.findings import ExaminerRequest
from services.inference.vetting.process import run_examiner
from services.inference.vetting.vet import vet
from services.storage.stores import Stores
from tests.support.job_runs import memory_stores, run, uploaded
from tests.support.onnx_classifiers import ultralytics
from tests.support.onnx_graphs import lookup
from tests.support.onnx_models import CARD, linear
from tests.unit.inference.vetting import models

VERSION = Reference(name="mine", version=1)
LABELS = ("ant", "bee", "cow")
IMAGE_INPUT = ImageInput(size=(8, 6), mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))


@pytest.fixture
def stores() -> Stores:
    return memory_stores()


def vetted(stores: Stores, folder: Path, file: bytes, **metadata: object) -> Job:
    upload = folder / "upload.onnx"
    upload.write_bytes(file)
    source = UploadSource(upload=uploaded(stores, upload))
    spec = VetSpec.model_validate({"model": "mine", "source": source} | metadata)
    job, attempts = run(stores, VetRequest(kind=JobKind.VET, spec=spec), vet, folder)
    assert len(attempts) == 1
    return job


def test_a_file_without_metadata_is_published_unchanged(stores: Stores, tmp_path: Path) -> None:
    file = linear(card=None)

    job = vetted(stores, tmp_path, file)

    assert job.state == JobState.SUCCEEDED, job.error
    _, manifest = stores.of(DEFAULT_PROJECT).models.manifest(VERSION)
    assert stores.objects.read(manifest.artifact) == file
    assert (manifest.batched, manifest.labels, manifest.preprocessing) == (True, (), None)
    assert (manifest.onnx.size, manifest.onnx.opset) == (len(file), 18)
    lines = [
        event.data["message"] for event in stores.of(DEFAULT_PROJECT).events.after(job.id, 0) if event.kind == "log"
    ]
    assert lines == [
        "the model takes numbers through /v2, not images: its metadata does not say which classes it knows and how "
        "images are prepared for it"
    ]


@pytest.mark.parametrize("card", [None, CARD], ids=["no card", "another card"])
def test_metadata_of_the_job_becomes_the_card_in_the_file(
    stores: Stores, tmp_path: Path, card: ModelCard | None
) -> None:
    vetted(stores, tmp_path, linear(card), labels=LABELS, preprocessing=IMAGE_INPUT)

    _, manifest = stores.of(DEFAULT_PROJECT).models.manifest(VERSION)
    loaded = ModelLoader().load(stores.objects.read(manifest.artifact))
    preprocessing = IMAGE_INPUT.preprocessing("NCHW", "float32")
    assert loaded.card == manifest.card == ModelCard(labels=LABELS, preprocessing=preprocessing)
    assert onnx.load_model_from_string(stores.objects.read(manifest.artifact)).graph.node


def test_the_card_in_the_file_is_used_without_metadata(stores: Stores, tmp_path: Path) -> None:
    vetted(stores, tmp_path, linear(CARD))

    _, manifest = stores.of(DEFAULT_PROJECT).models.manifest(VERSION)
    assert manifest.card == CARD
    assert stores.objects.read(manifest.artifact) == linear(CARD)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"labels": ("cat", "cat", "dog")}, "the label 'cat' occurs more than once"),
        (
            {"preprocessing": CARD.preprocessing.model_copy(update={"mean": (123.7, 116.3, 103.5)})},
            'add "scale": 255',
        ),
    ],
)
def test_a_contradictory_card_in_the_file_is_rejected(
    stores: Stores, tmp_path: Path, change: dict[str, object], reason: str
) -> None:
    job = vetted(stores, tmp_path, linear(CARD.model_copy(update=change)))

    assert reason in (job.error.message if job.error else "")


def test_a_version_says_how_its_outputs_and_batches_are(stores: Stores, tmp_path: Path) -> None:
    job = vetted(
        stores, tmp_path, ultralytics(), labels={"0": "ant", "1": "bee", "2": "cow"}, preprocessing=IMAGE_INPUT
    )

    assert job.state == JobState.SUCCEEDED, job.error
    version = stores.of(DEFAULT_PROJECT).models.get(VERSION)
    assert (version.output, version.max_batch, version.batched) == ("probabilities", 1, False)
    assert version.labels == LABELS
    assert [warning.code for warning in version.warnings] == ["batch_of_one"]
    _, manifest = stores.of(DEFAULT_PROJECT).models.manifest(VERSION)
    assert ModelLoader().load(stores.objects.read(manifest.artifact)).card == manifest.card


def test_a_file_of_samples_is_used(stores: Stores, tmp_path: Path) -> None:
    samples = tmp_path / "samples.npz"
    np.savez(samples, x=np.array([3]))

    vetted(stores, tmp_path, lookup(), samples_file=UploadSource(upload=uploaded(stores, samples, "samples")))

    assert stores.of(DEFAULT_PROJECT).models.get(VERSION).warnings == ()


def test_a_model_that_fails_on_its_samples_is_rejected(stores: Stores, tmp_path: Path) -> None:
    vetted(stores, tmp_path, lookup(4), samples={"x": [9]})

    assert "failed on its samples" in (stores.of(DEFAULT_PROJECT).models.get(VERSION).reason or "")


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        (b"garbage", "not an ONNX model"),
        (models.external().SerializeToString(), "other files"),
        (models.external_by_default("samples.npz").SerializeToString(), "other files"),
        (models.relu(domain="evil").SerializeToString(), "'evil'"),
        (models.bomb(), "memory"),
    ],
    ids=["garbage", "external data", "external data by default", "unknown domain", "memory bomb"],
)
def test_unsafe_files_are_rejected_with_a_reason(stores: Stores, tmp_path: Path, file: bytes, reason: str) -> None:
    job = vetted(stores, tmp_path, file)

    assert (job.state, job.error and job.error.code) == (JobState.FAILED, "bad_model")
    version = stores.of(DEFAULT_PROJECT).models.get(VERSION)
    assert version.status == "rejected"
    assert reason in (version.reason or "")


def test_an_endless_loop_is_rejected(stores: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEPOOL_VET_CPU_S", "3")

    vetted(stores, tmp_path, models.endless())

    assert "took more than 3 s of CPU" in (stores.of(DEFAULT_PROJECT).models.get(VERSION).reason or "")


def test_a_file_that_is_too_large_is_rejected(stores: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEPOOL_VET_FILE_BYTES", "100")

    vetted(stores, tmp_path, linear())

    assert "can have at most 100" in (stores.of(DEFAULT_PROJECT).models.get(VERSION).reason or "")


def test_cancelling_the_job_ends_the_process(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(models.endless())
    file = tmp_path / "model.onnx"
    request = ExaminerRequest(file=file, metadata=ModelMetadata(), memory_bytes=2**32, cpu_s=60, max_batch=4)
    before = threading.active_count()

    def cancel() -> None:
        raise Cancelled("the job was cancelled")

    with pytest.raises(Cancelled):
        run_examiner(request, 60, cancel)

    assert threading.active_count() == before
    assert not (tmp_path / "verdict.json").exists()
