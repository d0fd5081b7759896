"""A training of which the request says nothing but the dataset, and trainings that start from its model."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from contract.errors import BadModel, Draining
from contract.training import ModelManifest
from services.trainer import decisions, features, methods, state
from services.trainer.candidates import Candidate
from services.trainer.descent import descend
from services.trainer.features import export_body
from services.trainer.state import State
from services.trainer.worker import train
from tests.support.exports import CachedExport
from tests.support.training_task import CLASSES, MemoryTask

Finished = tuple[MemoryTask, ModelManifest]


def started(folder: Path, **spec: Any) -> MemoryTask:
    """Make a task whose splits have one shard each: every shard is evaluated by a process."""
    return MemoryTask(folder, auto=True, shards=1, **spec)


@pytest.fixture(scope="module", autouse=True)
def _bodies_are_exported_once() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(state, "export_body", CachedExport(export_body))
        yield


@pytest.fixture(scope="module")
def probed(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """A probe of lite0."""
    task = started(tmp_path_factory.mktemp("probed"), method="probe")
    return task, train(task)


def values(manifest: ModelManifest) -> dict[str, object]:
    return {choice.what: choice.value for choice in manifest.decisions}


def test_a_probe_is_a_whole_model(probed: Finished) -> None:
    _, manifest = probed

    assert manifest.metrics is not None
    assert manifest.metrics.val is not None
    assert manifest.metrics.val.accuracy > 0.9
    assert (manifest.epochs, manifest.best_epoch) == ((), None)
    assert manifest.preprocessing.mean == pytest.approx((127 / 255,) * 3)
    assert manifest.preprocessing.image.size == (8, 8)
    assert manifest.onnx.parity_max_abs_diff < 1e-2
    assert {"init_from", "penalty"} <= set(values(manifest))
    assert manifest.lineage is not None
    assert manifest.lineage.parent == values(manifest)["init_from"] == "lite0"
    assert [variant.name for variant in manifest.variants] == ["fp32", "fp16", "int8"]
    assert manifest.training_images.judged == 60
    assert manifest.training_images.accuracy > 0.9


@pytest.mark.usefixtures("no_variants")
def test_features_are_computed_once(probed: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, manifest = probed
    second = started(tmp_path, method="probe")
    second.objects.content |= first.objects.content
    second.cached[f"bugs/{manifest.features.key}"] = manifest.features
    calls: list[int] = []
    extract = features.extract
    monkeypatch.setattr(
        "services.trainer.feature_source.extract", lambda *args: calls.append(len(args[2])) or extract(*args)
    )

    again = train(second)

    assert calls == []
    assert again.features is None
    assert again.artifact.sha256 == manifest.artifact.sha256


def test_a_model_is_trained_further_with_one_class_more(probed: Finished, tmp_path: Path) -> None:
    first, manifest = probed
    stored = State.from_bytes("m@1", first.objects.read(manifest.state))

    network = stored.network((3, 8, 8), (*CLASSES, "wasp"))

    torch.testing.assert_close(network.head.weight[:3], stored.weights["head.weight"])
    assert not network.head.weight[3].any()


@pytest.mark.usefixtures("no_variants")
def test_fine_tuning_starts_from_the_model(probed: Finished, tmp_path: Path) -> None:
    first, manifest = probed
    # Brightness tells the classes apart, so it must not be changed.
    task = started(tmp_path, init_from="net", epochs=1, augment=False)
    task.objects.content |= first.objects.content
    task.models.published["net"] = manifest

    tuned = train(task)

    assert values(tuned)["method"] == "fine_tune"
    assert len(tuned.epochs) == 1
    assert tuned.metrics.val.accuracy > 0.9
    assert tuned.artifact.sha256 != manifest.artifact.sha256


def test_a_model_without_weights_is_no_start(probed: Finished, tmp_path: Path) -> None:
    task = started(tmp_path, init_from="net")
    task.models.published["net"] = probed[1].model_copy(update={"state": None})

    with pytest.raises(BadModel, match="net@1 has no weights to start from"):
        train(task)


@pytest.mark.usefixtures("no_variants")
def test_the_trial_decides_and_a_drained_job_keeps_the_probe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decisions, "FEWEST_STEPS", 8)
    monkeypatch.setattr(decisions, "EPOCHS", 4)
    monkeypatch.setattr(methods.decisions, "worth_training", lambda *_: True)
    task = started(tmp_path)

    def drain() -> None:
        raise Draining("the worker stops")

    task.after_checkpoint = drain
    with pytest.raises(Draining):
        train(task)
    del task.after_checkpoint

    manifest = train(task)

    assert values(manifest)["method"] in ("probe", "scratch")
    assert manifest.metrics.val.accuracy > 0.9
    assert manifest.training_images.judged == 60
    assert manifest.training_images.slowest[0].path.startswith("train/")


@pytest.mark.usefixtures("no_variants")
def test_a_trial_that_is_far_behind_ends_halfway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decisions, "EPOCHS", 16)
    monkeypatch.setattr(decisions, "hopeless", lambda *_: True)
    monkeypatch.setattr(decisions, "worth_training", lambda *_: False)
    task = started(tmp_path)

    manifest = train(task)

    method = next(choice for choice in manifest.decisions if choice.what == "method")
    assert method.value == "probe"
    assert ", half of a short training from scratch " in method.because


def test_with_head_keeps_the_labels_of_the_card(probed: Finished) -> None:
    task, manifest = probed

    graph = onnx.load_from_string(task.objects.read(manifest.artifact)).graph

    assert [output.name for output in graph.output] == ["logits"]
    assert graph.output[0].type.tensor_type.shape.dim[1].dim_value == len(CLASSES)
    assert np.prod(graph.initializer[-1].dims) == len(CLASSES)


@pytest.mark.usefixtures("no_variants")
def test_a_probe_that_is_better_than_the_fine_tuning_of_the_request_is_a_decision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never_better(*arguments: Any) -> Candidate:
        return replace(descend(*arguments), accuracy=0.0)

    monkeypatch.setattr(methods, "descend", never_better)

    manifest = train(started(tmp_path, method="fine_tune", epochs=1))

    assert manifest.best_epoch is None
    method = next(choice for choice in manifest.decisions if choice.what == "method")
    assert method.value == "probe"
    assert "the request says fine_tune, and this is better" in method.because
