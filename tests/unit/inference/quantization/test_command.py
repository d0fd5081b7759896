"""Making and measuring the variants of a model."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from contract.images import Preprocessing
from contract.models import METADATA_KEY
from services.inference.engine.loader import ModelLoader
from services.inference.quantization import command
from services.inference.quantization.fp16 import to_fp16
from services.inference.quantization.int8 import to_int8
from services.inference.quantization.measure import agreement, images_per_second
from tests.support.onnx_models import CARD, linear, onnx_file, random_images

ROOT = Path(command.__file__).parents[3]
PREPROCESSING: Preprocessing = CARD.preprocessing


def network(seed: int = 0, heads: int = 1) -> bytes:
    """Make a convolution, ReLU, the mean over the pixels, and dense layers, of which several are added up."""
    random = np.random.default_rng(seed)
    outputs = [f"head-{number}" for number in range(heads)] if heads > 1 else ["logits"]
    weights = {
        "kernel": random.normal(0, 0.3, (8, 3, 3, 3)),
        **{f"dense-{name}": random.normal(0, 1, (8, 3)) for name in outputs},
        "bias": random.normal(0, 0.1, 3),
    }
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["images", "kernel"], ["conv"], name="conv", pads=[1, 1, 1, 1]),
            helper.make_node("Relu", ["conv"], ["relu"], name="relu"),
            helper.make_node("GlobalAveragePool", ["relu"], ["pooled"], name="pool"),
            helper.make_node("Flatten", ["pooled"], ["flat"], name="flatten"),
            *(helper.make_node("Gemm", ["flat", f"dense-{name}", "bias"], [name], name=name) for name in outputs),
            *([helper.make_node("Sum", outputs, ["logits"], name="sum")] if heads > 1 else []),
        ],
        "network",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 3, 8, 6])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 3])],
        [numpy_helper.from_array(array.astype(np.float32), name) for name, array in weights.items()],
    )
    return onnx_file(graph, CARD)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    file = tmp_path / "model.onnx"
    file.write_bytes(network())
    return file


def run(
    folder: Path, source: Path, images: NDArray[np.uint8], *options: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    np.save(folder / "calibration.npy", random_images(16, seed=1))
    np.save(folder / "check.npy", images)
    arguments = [str(source), str(folder / "calibration.npy"), str(folder / "check.npy"), str(folder)]
    module = "services.inference.quantization.command"
    return subprocess.run(
        [sys.executable, "-m", module, *arguments, *options],
        env={"PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command_makes_and_measures_every_variant(source: Path, tmp_path: Path) -> None:
    images = random_images(150)

    process = run(tmp_path, source, images)

    assert process.returncode == 0, process.stderr
    report = json.loads(process.stdout)
    assert report["failures"] == {}
    assert report["notes"]["int8"] in ("per-channel", "per-tensor")
    assert all(rate > 0 for rate in report["images_per_second"].values())
    reference = np.load(tmp_path / "fp32.logits.npy")
    np.testing.assert_allclose(reference, ModelLoader().load(source).run(images), atol=1e-5)
    for name in ("fp16", "int8"):
        onnx.checker.check_model(onnx.load(tmp_path / f"{name}.onnx"), full_check=True)
        logits = np.load(tmp_path / f"{name}.logits.npy")
        assert len(logits) in (150, command.SLOW_IMAGES)
        assert agreement(logits, reference[: len(logits)]) > 0.9
        assert np.abs(logits - reference[: len(logits)]).mean() < 0.05
        np.testing.assert_allclose(
            logits, ModelLoader().load(tmp_path / f"{name}.onnx").run(images[: len(logits)]), atol=1e-3
        )


def test_known_logits_are_taken_as_they_are(source: Path, tmp_path: Path) -> None:
    images = random_images(40)
    known = ModelLoader().load(source).run(images) + np.float32(1)  # which no run of the model gives
    np.save(tmp_path / "known.npy", known)

    process = run(tmp_path, source, images, "--logits", str(tmp_path / "known.npy"))

    assert process.returncode == 0, process.stderr
    np.testing.assert_array_equal(np.load(tmp_path / "fp32.logits.npy"), known)


def test_a_variant_that_cannot_be_made_is_left_out(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("an operator that the converter does not know")

    monkeypatch.setattr(command, "to_fp16", fail)
    np.save(tmp_path / "images.npy", random_images(20))

    arguments = [source, tmp_path / "images.npy", tmp_path / "images.npy", tmp_path]
    assert command.main(list(map(str, arguments))) == 0

    report = json.loads(capsys.readouterr().out)
    assert set(report["images_per_second"]) == {"fp32", "int8"}
    assert "does not know" in report["failures"]["fp16"]


def test_a_broken_model_fails_with_an_error_message(tmp_path: Path) -> None:
    (tmp_path / "broken.onnx").write_bytes(b"garbage")

    process = run(tmp_path, tmp_path / "broken.onnx", random_images(4))

    assert process.returncode == 1
    assert process.stderr.strip()


def test_equal_models_and_images_give_equal_int8_files(source: Path, tmp_path: Path) -> None:
    """Also in processes with different orders of sets."""
    files = []
    for seed in ("1", "2"):
        folder = tmp_path / seed
        folder.mkdir()
        process = run(folder, source, random_images(20), PYTHONHASHSEED=seed)
        assert process.returncode == 0, process.stderr
        files.append([(folder / f"{name}.onnx").read_bytes() for name in ("fp16", "int8")])

    assert files[0] == files[1]


@pytest.mark.parametrize("heads", [1, 3])
def test_int8_quantizes_all_layers_but_the_last_of_each_member(heads: int, source: Path, tmp_path: Path) -> None:
    source.write_bytes(network(heads=heads))

    schemes = to_int8(source, random_images(16), PREPROCESSING, tmp_path)

    for file in schemes.values():
        model = onnx.load(file)
        makers = {name: node.op_type for node in model.graph.node for name in node.output}
        inputs = [(node.op_type, [makers.get(name) for name in node.input]) for node in model.graph.node]
        (conv,) = [made for operator, made in inputs if operator == "Conv"]
        assert conv[:2] == ["DequantizeLinear", "DequantizeLinear"]
        assert [made[1:] for operator, made in inputs if operator == "Gemm"] == [[None, None]] * heads


@pytest.mark.parametrize("variant", ["fp16", "int8"])
def test_a_variant_keeps_the_card_and_the_signature(variant: str, source: Path, tmp_path: Path) -> None:
    file = tmp_path / "variant.onnx"
    if variant == "fp16":
        to_fp16(source, file)
    else:
        file = to_int8(source, random_images(16), PREPROCESSING, tmp_path)["per-channel"]

    loaded, original = ModelLoader().load(file), ModelLoader().load(source)
    assert (loaded.card, loaded.inputs, loaded.outputs) == (original.card, original.inputs, original.outputs)
    assert [entry.key for entry in onnx.load(file).metadata_props] == [METADATA_KEY]


def test_a_network_of_one_dense_layer_can_be_quantized(tmp_path: Path) -> None:
    source = tmp_path / "linear.onnx"
    source.write_bytes(linear())

    process = run(tmp_path, source, random_images(20))

    assert process.returncode == 0, process.stderr


def test_the_speed_is_the_median_of_several_runs(source: Path) -> None:
    ticks = iter(range(10_000))

    rates = images_per_second({"fp32": source}, random_images(8), lambda: float(next(ticks)))

    assert rates == {"fp32": 64.0}  # each run took one second


def test_the_agreement_is_the_share_of_equal_classes() -> None:
    assert agreement(np.array([[1, 2], [2, 1.0]]), np.array([[0, 9], [0, 9.0]])) == 0.5
