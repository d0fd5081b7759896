"""Trainings that start from a backbone that a person brought."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch.nn import functional

from contract.backbones import BackboneImages, BackboneManifest, OnnxNames
from contract.errors import BadModel
from contract.images import ImageSpec, Mode, Preprocessing
from contract.training import Cnn, ModelManifest
from services.trainer.backbones.brought import Graph, brought
from services.trainer.network import Blueprint
from services.trainer.state import State
from services.trainer.worker import train
from tests.support.pretrained import graph
from tests.support.training_task import CLASSES, MemoryTask

MEANS, STDS = (0.6, 0.5, 0.4), (0.3, 0.2, 0.1)
NAMES = OnnxNames(input="images", output="features")


def kept(task: MemoryTask, file: bytes, onnx_names: OnnxNames | None = None, mode: Mode = "RGB") -> BackboneManifest:
    """Keep a backbone `mine` for images of 16 x 16 pixels."""
    stored = task.put("kept", file)
    channels = slice(3 if mode == "RGB" else 1)
    manifest = BackboneManifest(
        format="onnx" if onnx_names else "safetensors",
        file=stored,
        sha256=stored.sha256,
        size_bytes=stored.size,
        images=BackboneImages(size=(16, 16), mode=mode, mean=MEANS[channels], std=STDS[channels]),
        features=8,
        parameters=216,
        onnx=onnx_names,
    )
    task.backbones.brought["mine"] = manifest
    return manifest


def cnn_state(seed: int = 0) -> State:
    torch.manual_seed(seed)
    blueprint = Blueprint(shape=(3, 16, 16), classes=1, architecture=Cnn(), resize=(16, 16), channels=3)
    return State("mine", blueprint, blueprint.build().state_dict(), MEANS, STDS)


def values(manifest: ModelManifest) -> dict[str, object]:
    return {choice.what: choice.value for choice in manifest.decisions}


def test_a_probe_of_a_graph_is_a_whole_model(tmp_path: Path) -> None:
    task = MemoryTask(tmp_path, auto=True, init_from="mine@1")
    kept(task, graph(tmp_path).read_bytes(), NAMES)

    manifest = train(task)

    assert manifest.metrics is not None
    assert manifest.metrics.val is not None
    assert manifest.metrics.val.accuracy > 0.9
    assert values(manifest)["method"] == "probe"
    assert (manifest.preprocessing.mean, manifest.preprocessing.image.size) == (MEANS, (8, 8))
    assert (manifest.state, manifest.epochs, manifest.onnx.parity_max_abs_diff) == (None, (), None)
    assert (manifest.parameters, manifest.onnx.opset) == (216 + 8 * 3 + 3, 17)
    assert manifest.lineage is not None
    assert manifest.lineage.parent == "mine@1"
    assert "fp32" in {variant.name for variant in manifest.variants}


@pytest.mark.usefixtures("no_variants")
def test_a_graph_is_never_fine_tuned(tmp_path: Path) -> None:
    task = MemoryTask(tmp_path, auto=True, init_from="mine@1", budget={"minutes": 0.1})
    kept(task, graph(tmp_path).read_bytes(), NAMES)

    assert values(train(task))["method"] == "probe"


@pytest.mark.usefixtures("no_variants")
@pytest.mark.parametrize(("fields", "epochs"), [({}, 0), ({"method": "fine_tune", "epochs": 1}, 1)])
def test_weights_are_probed_or_fine_tuned(tmp_path: Path, fields: dict[str, object], epochs: int) -> None:
    task = MemoryTask(tmp_path, auto=True, init_from="mine@1", **fields)
    kept(task, cnn_state().to_bytes())

    manifest = train(task)

    assert manifest.preprocessing.mean == MEANS
    assert len(task.reported) == epochs  # their metrics
    trained = State.from_bytes("net@1", task.objects.read(manifest.state))
    assert trained.labels == CLASSES
    assert (trained.blueprint.resize, trained.blueprint.channels) == ((16, 16), 3)


def test_grey_images_are_repeated_for_weights_of_colours(tmp_path: Path) -> None:
    task = MemoryTask(tmp_path)
    state = cnn_state()
    kept(task, state.to_bytes())
    images = torch.randn(2, 1, 8, 8)

    start = brought(task, "mine", (1, 8, 8))

    assert isinstance(start, State)
    assert start.mean == pytest.approx((0.5,))
    network = start.network((1, 8, 8), ("a", "b")).eval()
    body = state.network((3, 8, 8), ("a", "b")).eval()
    torch.testing.assert_close(network.features(images), body.features(images.expand(-1, 3, -1, -1)))


def test_grey_images_are_repeated_and_scaled_for_a_graph(tmp_path: Path) -> None:
    task = MemoryTask(tmp_path)
    file = graph(tmp_path)
    kept(task, file.read_bytes(), NAMES)
    image = ImageSpec(size=(8, 12), mode="L")
    preprocessing = Preprocessing(image=image, mean=(0.5,), std=(0.2,))
    images = torch.randn(3, 1, 8, 12)

    start = brought(task, "mine@1", (1, 8, 12))
    assert isinstance(start, Graph)
    start.write_body((1, 8, 12), ("a", "b"), preprocessing, tmp_path / "fitted.onnx")

    session = onnxruntime.InferenceSession(tmp_path / "fitted.onnx")
    (features,) = session.run(None, {"images": images.numpy()})
    scaled = functional.interpolate(images, size=(16, 16), mode="bilinear").expand(-1, 3, -1, -1)
    (expected,) = onnxruntime.InferenceSession(file).run(None, {"images": scaled.numpy()})
    expected = expected / np.sqrt((expected**2).mean(axis=1, keepdims=True))
    np.testing.assert_allclose(features, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.usefixtures("no_variants")
def test_names_in_the_graph_may_be_those_of_tidepool(tmp_path: Path) -> None:
    task = MemoryTask(tmp_path, auto=True, init_from="mine@1")
    model = onnx.load(graph(tmp_path))
    for node in model.graph.node:
        node.output[:] = ["logits" if name == "features" else name for name in node.output]
    model.graph.output[0].name = "logits"
    kept(task, model.SerializeToString(), OnnxNames(input="images", output="logits"))

    assert train(task).metrics.val.accuracy > 0.9


def test_colours_do_not_fit_a_backbone_of_grey_images(tmp_path: Path) -> None:
    task = MemoryTask(tmp_path, auto=True, init_from="mine@1")
    kept(task, b"weights", mode="L")

    with pytest.raises(BadModel, match="mine@1 takes grey images; prepare the dataset again with mode L"):
        train(task)
