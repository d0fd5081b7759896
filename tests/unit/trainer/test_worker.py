"""A training job, from the dataset to the model's manifest."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from contract.errors import BadModel, Draining, JobFailed
from contract.models import METADATA_KEY, ModelCard
from contract.training import ModelManifest
from contract.variants import serving_artifact
from services.trainer import decisions, descent
from services.trainer.worker import train
from tests.support.training_task import CLASSES, MemoryTask


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[MemoryTask, ModelManifest]:
    """A job of three epochs that ran without interruption."""
    task = MemoryTask(tmp_path_factory.mktemp("finished"), epochs=3)
    return task, train(task)


def test_manifest_describes_the_model(finished: tuple[MemoryTask, ModelManifest]) -> None:
    task, manifest = finished

    file = task.objects.read(manifest.artifact)
    assert manifest.onnx.sha256 == hashlib.sha256(file).hexdigest()
    assert (manifest.onnx.size, manifest.onnx.opset) == (len(file), 18)
    assert manifest.onnx.parity_max_abs_diff < 1e-3
    assert manifest.labels == CLASSES
    assert manifest.dataset == "bugs@7"
    assert manifest.device == "cpu"
    assert manifest.parameters == 107_155
    assert [signature.shape for signature in (*manifest.inputs, *manifest.outputs)] == [
        ("batch", 3, 8, 8),
        ("batch", 3),
    ]
    assert [epoch.epoch for epoch in manifest.epochs] == [1, 2, 3]


def test_metrics_are_those_of_the_best_epoch_on_both_splits(finished: tuple[MemoryTask, ModelManifest]) -> None:
    _, manifest = finished

    val, test = manifest.metrics.val, manifest.metrics.test
    assert val is not None
    assert test is not None
    assert val.accuracy == manifest.epochs[manifest.best_epoch - 1].val_accuracy
    assert (sum(map(sum, val.confusion_matrix)), sum(map(sum, test.confusion_matrix))) == (30, 12)
    assert list(test.per_class) == list(CLASSES)


def test_the_manifest_has_what_requests_are_compared_with(finished: tuple[MemoryTask, ModelManifest]) -> None:
    _, manifest = finished

    reference = manifest.drift_reference
    assert reference is not None
    assert (reference.predictions, reference.measured) == (30, 30)
    columns = np.array(manifest.metrics.val.confusion_matrix).sum(axis=0).tolist()
    assert reference.classes == dict(zip(CLASSES, columns, strict=True))
    assert reference.accuracy == manifest.metrics.val.accuracy
    assert np.count_nonzero(reference.brightness) >= 3  # classes differ in brightness
    assert reference.width == ()  # the dataset has no index


def test_the_file_can_be_served_without_the_manifest(finished: tuple[MemoryTask, ModelManifest]) -> None:
    task, manifest = finished

    file = onnx.load_from_string(task.objects.read(manifest.artifact))

    card = ModelCard(labels=manifest.labels, preprocessing=manifest.preprocessing)
    assert {entry.key: entry.value for entry in file.metadata_props} == {METADATA_KEY: card.model_dump_json()}


def test_the_manifest_has_variants_and_the_lineage(finished: tuple[MemoryTask, ModelManifest]) -> None:
    task, manifest = finished

    assert [variant.name for variant in manifest.variants] == ["fp32", "fp16", "int8"]
    assert manifest.variants[0].artifact == manifest.artifact
    assert manifest.variants[0].parity_max_abs_diff == manifest.onnx.parity_max_abs_diff
    assert serving_artifact(manifest)[0] == manifest.serving
    assert all(task.objects.read(variant.artifact) for variant in manifest.variants)
    assert "serving" in [decision.what for decision in manifest.decisions]
    assert manifest.lineage is not None
    assert (manifest.lineage.seed, manifest.lineage.spec["dataset"]) == (0, "bugs")


def test_equal_data_spec_and_seed_give_equal_files(finished: tuple[MemoryTask, ModelManifest], tmp_path: Path) -> None:
    again = train(MemoryTask(tmp_path, epochs=3))

    hashes = [{variant.name: variant.artifact.sha256 for variant in made.variants} for made in (finished[1], again)]
    assert hashes[0] == hashes[1]
    assert set(hashes[0]) == {"fp32", "fp16", "int8"}


def test_progress_never_decreases(finished: tuple[MemoryTask, ModelManifest]) -> None:
    task, _ = finished

    fractions = [fraction for fraction, _ in task.reports]
    assert fractions == sorted(fractions)
    assert 0 <= fractions[0] < fractions[-1] <= 1
    assert any(message.startswith("learning · pass 1 of 3") for _, message in task.reports)


def test_checkpoints_never_overwrite_each_other(finished: tuple[MemoryTask, ModelManifest]) -> None:
    task, _ = finished

    kept = {key for _, key in task.objects.content if key.startswith("checkpoint")}
    assert kept == {"checkpoint-1.pt", "checkpoint-2.pt", "checkpoint-3.pt"}


def drained(folder: Path) -> MemoryTask:
    """A training that a drain has interrupted after its first checkpoint."""
    task = MemoryTask(folder, epochs=3)
    task.after_checkpoint = interrupt(Draining("the worker stops"))
    with pytest.raises(Draining):
        train(task)
    del task.after_checkpoint
    return task


@pytest.mark.usefixtures("no_variants")
def test_a_drained_job_resumes_and_produces_the_same_file(
    finished: tuple[MemoryTask, ModelManifest], tmp_path: Path
) -> None:
    _, uninterrupted = finished
    task = drained(tmp_path)
    task.reports.clear()

    resumed = train(task)

    assert not any(message.startswith("learning · pass 1 of 3") for _, message in task.reports)
    assert resumed.artifact.sha256 == uninterrupted.artifact.sha256
    assert [metrics["epoch"] for metrics in task.reported] == [epoch.epoch for epoch in resumed.epochs]


@pytest.mark.usefixtures("no_variants")
def test_a_job_resumes_as_it_began_if_a_newer_release_decides_otherwise(
    finished: tuple[MemoryTask, ModelManifest], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, uninterrupted = finished
    task = drained(tmp_path)
    scratch = decisions.scratch
    monkeypatch.setattr(decisions, "scratch", lambda *facts: scratch(*facts).model_copy(update={"batch_size": 5}))

    assert train(task).artifact.sha256 == uninterrupted.artifact.sha256


@pytest.mark.usefixtures("no_variants")
def test_without_a_validation_split_there_are_no_validation_metrics(tmp_path: Path) -> None:
    manifest = train(MemoryTask(tmp_path, val=0, epochs=2))

    assert manifest.metrics.val is None
    assert manifest.metrics.test is not None
    assert manifest.best_epoch == 2


def test_layers_that_do_not_fit_the_images_are_rejected(tmp_path: Path) -> None:
    task = MemoryTask(tmp_path, architecture={"layers": [{"maxpool": 9}, {"flatten": {}}]})

    with pytest.raises(BadModel, match="does not fit into 8 pixels"):
        train(task)


def test_gpu_out_of_memory_error_suggests_smaller_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(descent.training, "train", interrupt(torch.OutOfMemoryError("CUDA out of memory")))

    with pytest.raises(JobFailed, match="smaller batch_size"):
        train(MemoryTask(tmp_path))


def interrupt(error: Exception) -> Callable[..., None]:
    """Return a function that raises the error."""

    def raise_it(*_: object, **__: object) -> None:
        raise error

    return raise_it
