"""The measurements of the GPU check, on the processor"""

import math
from pathlib import Path

import numpy as np
import onnx
import pytest

from benchmarks.gpu.card import Sampler, card_of
from benchmarks.gpu.engines import measure, ways
from benchmarks.gpu.resnets import resnet
from benchmarks.gpu.training import generated, reached
from contract.images import ImageSpec, Preprocessing
from contract.models import ModelCard
from services.inference.engine.loader import ModelLoader
from services.inference.engine.providers import Placement, ProviderChoice
from tests.support.nvml import Nvml
from tests.support.onnx_models import CARD, linear, random_images


def test_a_card_is_described_by_nvml() -> None:
    card = card_of(Nvml())

    assert card is not None
    assert (card.name, card.driver, card.memory_bytes >> 30, card.count) == ("NVIDIA H100", "570.1", 80, 1)
    assert card_of(Nvml(driver=False)) is None


def test_a_mig_instance_has_memory_but_no_utilization() -> None:
    nvml = Nvml(utilization=None)
    with Sampler(nvml, card_of(nvml)) as sampler:
        while not sampler._samples:
            pass

    usage = sampler.usage(0, 2**40)
    assert (usage.busy, usage.peak_bytes) == (None, 10 << 30)


def test_the_engine_and_onnx_runtime_run_the_same_model(tmp_path: Path) -> None:
    file = tmp_path / "small.onnx"
    file.write_bytes(linear())

    calls = {name: run(2) for name, run in ways(file, Placement(ProviderChoice.CPU), 4)}

    assert list(calls) == ["tidepool", "ort"]
    for call in calls.values():
        call()


def test_a_rehearsal_measures_each_way_and_batch(tmp_path: Path) -> None:
    for precision in ("fp32", "fp16"):
        (tmp_path / f"small.{precision}.onnx").write_bytes(linear())

    value = measure({"folder": str(tmp_path), "model": "small", "rehearse": True, "limit_s": 60.0})

    assert {(row["precision"], row["way"], row["batch"]) for row in value["rows"]} == {
        (precision, way, batch) for precision in ("fp32", "fp16") for way in ("tidepool", "ort") for batch in (1, 4)
    }
    assert value["complete"]


def test_a_sweep_without_time_is_incomplete(tmp_path: Path) -> None:
    for precision in ("fp32", "fp16"):
        (tmp_path / f"small.{precision}.onnx").write_bytes(linear())

    value = measure({"folder": str(tmp_path), "model": "small", "rehearse": True, "limit_s": 0.0})

    assert (value["rows"], value["complete"]) == ([], False)


def test_tensorrt_that_is_not_there_is_told(tmp_path: Path) -> None:
    request = {"folder": str(tmp_path), "model": "small", "rehearse": False, "limit_s": 60.0, "tensorrt": True}

    assert measure(request)["skipped"] == "this ONNX Runtime has no TensorRT provider"


def test_the_generated_data_can_be_learned_and_have_the_shape_of_cifar() -> None:
    data = generated(600, 200)

    images, labels = (tensor.numpy() for tensor in data.train.take(np.arange(600)))
    assert (images.shape, images.dtype) == ((600, 3, 32, 32), np.uint8)
    means = np.array([images[labels == label].mean(axis=0) for label in range(10)])
    tested, answers = (tensor.numpy() for tensor in data.val.take(np.arange(200)))
    nearest = ((tested[:, None] - means[None]) ** 2).sum(axis=(2, 3, 4)).argmin(axis=1)
    assert (nearest == answers).mean() > 0.9


@pytest.mark.parametrize(("accuracies", "expected"), [([0.5, 0.94, 0.95], 2.0), ([0.5, 0.9, 0.93], None)])
def test_the_first_epoch_with_the_target_counts(accuracies: list[float], expected: float | None) -> None:
    assert reached([1.0, 2.0, 3.0], accuracies) == expected


@pytest.mark.parametrize(("name", "parameters"), [("resnet18", 11_684_712), ("resnet50", 25_530_472)])
def test_the_networks_have_the_published_size_and_classify_images(name: str, parameters: int) -> None:
    """11.69 and 25.56 million, less what folding batch normalization saves."""
    labels = tuple(f"class {number}" for number in range(1000))
    spec = Preprocessing(image=ImageSpec(size=(32, 32)), mean=CARD.preprocessing.mean, std=CARD.preprocessing.std)
    card = ModelCard(labels=labels, preprocessing=spec)

    file = resnet(name, card)

    weights = onnx.load_from_string(file).graph.initializer
    assert sum(math.prod(weight.dims) for weight in weights) == parameters
    logits = ModelLoader(max_batch=2).load(file).run(random_images(2, card))
    assert logits.shape == (2, 1000)
    assert np.isfinite(logits).all()
    assert np.abs(logits).max() < 100
