"""Calibration of an exported model."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from contract.training import Cnn
from media.judging.tally import Tally
from media.judging.temperature import probabilities
from media.judging.unknown import precision_above
from services.trainer.data import ShardFiles
from services.trainer.evaluate import Runtime, evaluate, run_split
from services.trainer.export import export
from services.trainer.model import build
from services.trainer.temperature import calibrate, divide_logits
from tests.support.onnx_models import CARD, expected_logits, linear, random_images
from tests.support.training_data import stored

WEIGHTS = np.random.default_rng(0).normal(0, 0.1, (144, 3)).astype(np.float32)
SHARPNESS = 4


@pytest.fixture
def runtime(tmp_path: Path) -> Iterator[Runtime]:
    with Runtime(tmp_path / "model.onnx") as runtime:
        yield runtime


def classified(folder: Path, count: int = 400, sharpness: float = SHARPNESS) -> tuple[Path, list[ShardFiles]]:
    """Make a model that is right as often as it says if `sharpness` is 1, and images with labels drawn from it."""
    images = random_images(count)
    scores = probabilities(expected_logits(images, WEIGHTS))
    rng = np.random.default_rng(1)
    labels = np.array([rng.choice(3, p=row) for row in scores])
    model = folder / "model.onnx"
    model.write_bytes(linear(weights=WEIGHTS * np.float32(sharpness)))
    return model, stored(folder, "val", images, labels, shards=2)


def test_an_overconfident_model_gets_a_temperature(tmp_path: Path, runtime: Runtime) -> None:
    _, shards = classified(tmp_path)
    before, labels = run_split(runtime, shards, lambda: None)

    calibration = calibrate(runtime, shards, CARD.labels, lambda: None)

    assert calibration.temperature == pytest.approx(SHARPNESS, rel=0.3)
    assert calibration.decisions[0].what == "temperature"
    assert "lowers the loss" in calibration.decisions[0].because
    after, _ = run_split(runtime, shards, lambda: None)
    np.testing.assert_allclose(after, before / np.float32(calibration.temperature), rtol=1e-6)
    measured = evaluate(runtime, shards, CARD.labels, lambda: None)
    assert measured is not None
    assert calibration.metrics is not None
    assert calibration.metrics.confusion_matrix == measured.confusion_matrix
    assert calibration.metrics.loss == pytest.approx(measured.loss, rel=1e-6)
    assert calibration.metrics.loss < Tally.of(before, labels).metrics(CARD.labels).loss


def test_an_honest_model_stays_as_it_is(tmp_path: Path, runtime: Runtime) -> None:
    model, shards = classified(tmp_path, sharpness=1)
    file = model.read_bytes()

    calibration = calibrate(runtime, shards, CARD.labels, lambda: None)

    assert model.read_bytes() == file
    assert calibration.temperature == 1
    assert calibration.metrics == evaluate(runtime, shards, CARD.labels, lambda: None)


def test_answers_at_or_above_the_threshold_are_precise(tmp_path: Path, runtime: Runtime) -> None:
    _, shards = classified(tmp_path, sharpness=1)

    calibration = calibrate(runtime, shards, CARD.labels, lambda: None)

    logits, labels = run_split(runtime, shards, lambda: None)
    assert calibration.unknown_below is not None
    precision, coverage = precision_above(probabilities(logits), labels, calibration.unknown_below)
    assert precision is not None
    assert precision >= 0.95
    assert 0 < coverage < 1
    assert calibration.decisions[-1].what == "unknown_below"


@pytest.mark.parametrize("count", [0, 40])
def test_a_few_images_choose_nothing(tmp_path: Path, runtime: Runtime, count: int) -> None:
    _, shards = classified(tmp_path, max(count, 2))

    calibration = calibrate(runtime, shards if count else [], CARD.labels, lambda: None)

    assert (calibration.temperature, calibration.unknown_below, calibration.decisions) == (1, None, ())
    assert (calibration.metrics is None) == (count == 0)


def test_an_exported_network_keeps_its_card_its_signature_and_its_answers(tmp_path: Path, runtime: Runtime) -> None:
    torch.manual_seed(0)
    path = tmp_path / "model.onnx"
    export(build(Cnn(), CARD.preprocessing.image.shape, 3).eval(), CARD, path)
    images = random_images(5)
    shards = stored(tmp_path, "val", images, np.zeros(5, np.int64))
    before, _ = run_split(runtime, shards, lambda: None)
    plain = onnx.load(path)

    divide_logits(path, 2.5)
    runtime.reload()

    after, _ = run_split(runtime, shards, lambda: None)
    scaled = onnx.load(path)
    np.testing.assert_allclose(after, before / 2.5, rtol=1e-6)
    assert scaled.graph.output == plain.graph.output
    assert scaled.graph.input == plain.graph.input
    assert scaled.metadata_props == plain.metadata_props
