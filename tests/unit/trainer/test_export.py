"""Export to ONNX files."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx.reference import ReferenceEvaluator
from pydantic import TypeAdapter
from torch import nn

from contract.images import ImageSpec, Preprocessing
from contract.models import METADATA_KEY, ModelCard
from contract.training import Architecture
from services.trainer.export import export
from services.trainer.model import build

CARD = ModelCard(
    labels=("ant", "bee", "cat"),
    preprocessing=Preprocessing(image=ImageSpec(size=(8, 10)), mean=(0.4, 0.5, 0.6), std=(0.2, 0.25, 0.3)),
)
SHAPE = CARD.preprocessing.image.shape
ALL_LAYERS: dict[str, Any] = {
    "layers": [
        {"conv": 4, "kernel": 2},
        {"batchnorm": {}},
        {"gelu": {}},
        {"maxpool": 2},
        {"avgpool": 2},
        {"conv": 4, "stride": 2},
        {"dropout": 0.5},
        {"flatten": {}},
        {"dense": 5},
        {"batchnorm": {}},
        {"relu": {}},
    ]
}


def network(described: dict[str, Any]) -> nn.Module:
    """A network whose batch normalizations have statistics of some images."""
    torch.manual_seed(0)
    model = build(TypeAdapter(Architecture).validate_python(described), SHAPE, len(CARD.labels))
    model(torch.randn(16, *SHAPE))
    return model.eval()


@pytest.fixture(scope="module")
def cnn_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ONNX file of the default network."""
    path = tmp_path_factory.mktemp("exported") / "model.onnx"
    export(network({"name": "cnn"}), CARD, path)
    return path


@pytest.mark.parametrize(
    "described",
    [{"name": "cnn"}, {"name": "mlp"}, ALL_LAYERS, {"layers": [{"conv": 4}, {"globalavgpool": {}}]}],
    ids=["cnn", "mlp", "all layers", "global pool"],
)
def test_the_file_gives_the_same_logits_for_any_batch_size(described: dict[str, Any], tmp_path: Path) -> None:
    model = network(described)

    export(model, CARD, tmp_path / "model.onnx")

    run = ReferenceEvaluator(str(tmp_path / "model.onnx")).run
    for count in (1, 5):
        images = torch.randn(count, *SHAPE)
        with torch.no_grad():
            expected = model(images).numpy()
        np.testing.assert_allclose(run(["logits"], {"images": images.numpy()})[0], expected, rtol=1e-4, atol=1e-4)


def test_the_file_contains_its_signature_and_model_card(cnn_file: Path) -> None:
    proto = onnx.load(cnn_file)

    image, logits = [value.type.tensor_type for value in (*proto.graph.input, *proto.graph.output)]
    assert [value.name for value in (*proto.graph.input, *proto.graph.output)] == ["images", "logits"]
    assert [axis.dim_param or axis.dim_value for axis in image.shape.dim] == ["batch", 3, 8, 10]
    assert [axis.dim_param or axis.dim_value for axis in logits.shape.dim] == ["batch", 3]
    assert [entry.version for entry in proto.opset_import] == [18]
    cards = {entry.key: entry.value for entry in proto.metadata_props}
    assert ModelCard.model_validate_json(cards[METADATA_KEY]) == CARD


def test_batch_normalization_after_a_convolution_is_folded_into_it(tmp_path: Path) -> None:
    described = {"layers": [{"conv": 4}, {"batchnorm": {}}, {"relu": {}}, {"flatten": {}}]}

    export(network(described), CARD, tmp_path / "model.onnx")

    kinds = [node.op_type for node in onnx.load(tmp_path / "model.onnx").graph.node]
    assert kinds == ["Conv", "Relu", "Reshape", "Gemm"]


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_equal_weights_give_equal_bytes_in_one_file(
    layout: torch.memory_format, cnn_file: Path, tmp_path: Path
) -> None:
    export(network({"name": "cnn"}).to(memory_format=layout), CARD, tmp_path / "model.onnx")

    assert [file.name for file in tmp_path.iterdir()] == ["model.onnx"]
    assert (tmp_path / "model.onnx").read_bytes() == cnn_file.read_bytes()


def test_the_file_contains_no_paths_of_this_machine(cnn_file: Path) -> None:
    content = cnn_file.read_bytes()

    assert str(Path(torch.__file__).parent).encode() not in content
    assert b"torch.nn" not in content


def test_a_network_in_training_mode_is_exported_for_evaluation(cnn_file: Path, tmp_path: Path) -> None:
    model = network({"name": "cnn"}).train()

    export(model, CARD, tmp_path / "model.onnx")

    assert model.training
    assert (tmp_path / "model.onnx").read_bytes() == cnn_file.read_bytes()


def test_the_export_prints_and_logs_nothing(
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    recwarn: pytest.WarningsRecorder,
) -> None:
    caplog.set_level(logging.INFO)

    export(network({"name": "mlp"}), CARD, tmp_path / "model.onnx")

    assert capfd.readouterr() == ("", "")
    assert [record.message for record in caplog.records if record.levelno >= logging.INFO] == []
    assert not recwarn.list
