"""What the requests of a model are compared with."""

from pathlib import Path

import numpy as np
import pytest

from contract.datasets import Split
from media.drift.counting import bin_counts
from media.drift.images import measure
from media.judging.tally import Tally
from services.trainer import drift_reference as module
from services.trainer.drift_reference import MeasuredImages, drift_reference
from services.trainer.temperature import Calibration
from tests.support.onnx_models import CARD, random_images
from tests.support.training_data import stored


class Index:
    """Every image is 640 × 480 pixels."""

    def sizes(self, split: Split) -> tuple[np.ndarray, np.ndarray]:
        assert split is Split.VAL
        return np.full(40, 640.0), np.full(40, 480.0)


def calibration(images: int = 40) -> Calibration:
    logits = np.random.default_rng(0).normal(0, 2, (images, 3)).astype(np.float32)
    return Calibration(logits, Tally.of(logits, np.zeros(images, np.int64)).metrics(CARD.labels))


def test_a_part_of_the_images_is_measured_spread_over_all_shards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_MEASURED", 15)
    images = random_images(40)
    measured = MeasuredImages(40)

    for shard, _ in stored(tmp_path, "val", images, np.zeros(40, np.int64), shards=7):
        measured.add(shard)

    chosen = measure(images[::3])
    assert measured.brightness == bin_counts("brightness", chosen.brightness)
    assert measured.sharpness == bin_counts("sharpness", chosen.sharpness)


def test_scores_and_sizes_are_those_of_all_images() -> None:
    answered = calibration()

    reference = drift_reference(answered, CARD.labels, MeasuredImages(40), Index())  # type: ignore[arg-type]

    assert reference is not None
    assert answered.metrics is not None
    assert sum(reference.classes.values()) == sum(reference.confidence) == 40
    assert reference.confidence_sum / 40 == pytest.approx(_best(answered).mean())
    assert reference.accuracy == answered.metrics.accuracy
    assert reference.width == bin_counts("width", np.full(40, np.log2(640)))
    assert (sum(reference.height), reference.brightness) == (40, ())


def test_without_validation_images_there_is_no_reference() -> None:
    assert drift_reference(Calibration(), CARD.labels, MeasuredImages(0), None) is None


def _best(answered: Calibration) -> np.ndarray:
    assert answered.logits is not None
    powers = np.exp(answered.logits.astype(np.float64))
    best: np.ndarray = (powers / powers.sum(axis=1, keepdims=True)).max(axis=1)
    return best
