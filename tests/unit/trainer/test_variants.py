"""Variants of a trained model: which images measure them, and what happens if they cannot be made."""

import logging
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from contract.artifacts import Bucket, ObjectRef
from contract.images import ImageSpec, Preprocessing
from contract.models import ModelCard
from services.storage.memory_objects import MemoryObjects
from services.trainer import variants
from services.trainer.evaluate import Runtime, run_split
from services.trainer.export import export
from services.trainer.model import build
from services.trainer.variants import Variants, _evenly, make_variants
from tests.support.training_data import MEAN, STD, recipe, separable, stored, training_data


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    image = ImageSpec(size=(8, 8))
    card = ModelCard(labels=("a", "b", "c"), preprocessing=Preprocessing(image=image, mean=(MEAN,) * 3, std=(STD,) * 3))
    path = tmp_path / "model.onnx"
    export(build(recipe().architecture, image.shape, 3), card, path)
    return path


def make(
    exported: Path, folder: Path, train: int = 60, val: int = 30, logits: NDArray[np.float32] | None = None
) -> Variants:
    objects = MemoryObjects()

    def put(name: str, file: Path) -> ObjectRef:
        return objects.put(Bucket.JOBS, name, file)

    data = training_data(folder, train, val)
    return make_variants(exported, put("model.onnx", exported), 1e-6, data, folder, put, logits)


def test_every_variant_is_measured_and_stored(exported: Path, tmp_path: Path) -> None:
    made = make(exported, tmp_path)

    assert [variant.name for variant in made.variants] == ["fp32", "fp16", "int8"]
    fp32, *others = made.variants
    assert (fp32.agreement, fp32.parity_max_abs_diff, fp32.artifact.key) == (1.0, 1e-6, "model.onnx")
    for variant in others:
        assert variant.size == variant.artifact.size == (tmp_path / f"{variant.name}.onnx").stat().st_size
        assert (variant.accuracy is None) == (variant.images_per_second < fp32.images_per_second)
        assert (variant.agreement or 0) > 0.8
        assert variant.images_per_second > 0
    assert made.serving in ("fp32", "fp16", "int8")
    (decision,) = made.decisions
    assert (decision.what, decision.value) == ("serving", made.serving)
    assert "images a second" in decision.because


def test_logits_that_are_known_are_compared_by_image(exported: Path, tmp_path: Path) -> None:
    shards = stored(tmp_path, "val", *separable(250, seed=2))
    with Runtime(exported) as runtime:
        logits, _ = run_split(runtime, shards, lambda: None)

    made, measured = (make(exported, tmp_path, val=250, logits=known) for known in (logits, None))

    assert made.variants[0].accuracy == measured.variants[0].accuracy
    assert (made.variants[2].agreement or 0) > 0.8


@pytest.mark.parametrize(("train", "val"), [(3, 0), (60, 0), (2, 2)])
def test_small_and_missing_splits_are_enough(exported: Path, tmp_path: Path, train: int, val: int) -> None:
    made = make(exported, tmp_path, train, val)

    assert len(made.variants) == 3
    assert (made.variants[0].accuracy is None) == (val == 0)


def test_a_command_that_fails_leaves_fp32_alone(
    exported: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    exported.write_bytes(b"garbage")

    with caplog.at_level(logging.WARNING):
        assert make(exported, tmp_path) == Variants()

    assert "exited with status 1" in caplog.text


def test_a_command_that_takes_too_long_leaves_fp32_alone(
    exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(command: Any, **_: Any) -> None:
        raise subprocess.TimeoutExpired(command, 1)

    monkeypatch.setattr(variants.subprocess, "run", slow)

    assert make(exported, tmp_path) == Variants()


def test_the_calibration_has_images_of_every_class() -> None:
    labels = np.array([0] * 100 + [1] * 3 + [2] * 50)

    chosen = _evenly(labels, 23)

    assert np.bincount(labels[chosen]).tolist() == [10, 3, 10]
    assert len(set(chosen.tolist())) == 23
    assert len(_evenly(labels, 1000)) == len(labels)
