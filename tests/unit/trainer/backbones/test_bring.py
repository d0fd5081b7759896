"""Backbone jobs on safetensors files that people bring, good and bad."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save

from services.storage.stores import Stores
from services.trainer.backbones.registry import BACKBONES
from services.trainer.cnn import cnn
from services.trainer.state import State
from tests.support.bringing import brought, manifest_of, rejected
from tests.support.job_runs import memory_stores
from tests.support.pretrained import IMAGENET, TorchvisionResNet18, saved

IMAGES = {"size": [32, 32], "mean": [0.5, 0.4, 0.3], "std": [0.2, 0.2, 0.2]}
Tensors = dict[str, torch.Tensor]


@pytest.fixture
def stores() -> Stores:
    return memory_stores()


@pytest.fixture(scope="module")
def lite0() -> Tensors:
    return torch.load(BACKBONES["lite0"].file(), weights_only=True)


@torch.no_grad()
def test_resnet18_of_torchvision_computes_the_same_features(stores: Stores, tmp_path: Path) -> None:
    network = TorchvisionResNet18().eval()
    file = saved(tmp_path, network.state_dict())

    job = brought(stores, tmp_path, file, architecture="resnet18", preprocessing=IMAGENET | {"size": [96, 96]})

    manifest = manifest_of(stores, job)
    assert (manifest.format, manifest.architecture, manifest.features) == ("safetensors", "resnet18", 512)
    assert (manifest.images.size, manifest.images.mean) == ((96, 96), tuple(IMAGENET["mean"]))
    assert manifest.parameters == sum(value.numel() for value in network.parameters()) - 513_000
    state = State.from_bytes("mine@1", stores.objects.read(manifest.file))
    images = torch.randn(2, 3, 96, 96)
    body = state.network((3, 96, 96), ("a", "b")).eval().features
    torch.testing.assert_close(body(images), network.features(images), rtol=1e-4, atol=1e-4)


def timm_name(name: str) -> str:
    """Name the tensors of lite0 as timm does."""
    starts = [0, 1, 3, 5, 8, 11, 15]
    ends = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
    if not (block := re.match(r"_blocks\.(\d+)\.(\w+)\.(.*)", name)):
        layer, rest = name.split(".")
        return f"{ends[layer]}.{rest}"
    number, layer, rest = int(block[1]), block[2], block[3]
    stage = max(index for index, start in enumerate(starts) if start <= number)
    first = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
    other = {"_expand_conv": "conv_pw", "_bn0": "bn1", "_depthwise_conv": "conv_dw", "_bn1": "bn2"}
    other |= {"_project_conv": "conv_pwl", "_bn2": "bn3"}
    return f"blocks.{stage}.{number - starts[stage]}.{(other if stage else first)[layer]}.{rest}"


@pytest.mark.parametrize(
    "name", [lambda name: name, timm_name, lambda name: f"module.{name}"], ids=["published", "timm", "DataParallel"]
)
def test_lite0_needs_no_metadata(stores: Stores, tmp_path: Path, lite0: Tensors, name: Callable[[str], str]) -> None:
    job = brought(stores, tmp_path, saved(tmp_path, {name(key): value for key, value in lite0.items()}))

    manifest = manifest_of(stores, job)
    assert (manifest.architecture, manifest.images.size, manifest.features) == ("lite0", (224, 224), 1280)
    weights = State.from_bytes("mine@1", stores.objects.read(manifest.file)).weights
    for key, value in BACKBONES["lite0"].build().state_dict().items():
        if not key.endswith("num_batches_tracked"):
            torch.testing.assert_close(weights[f"body.0.{key}"], value)


def test_half_precision_is_read_as_float32(stores: Stores, tmp_path: Path, lite0: Tensors) -> None:
    halves = {name: value.half() if value.is_floating_point() else value for name, value in lite0.items()}

    manifest = manifest_of(stores, brought(stores, tmp_path, saved(tmp_path, halves), architecture="lite0"))

    state = State.from_bytes("mine@1", stores.objects.read(manifest.file))
    assert {value.dtype for value in state.weights.values()} == {torch.float32, torch.int64}


def test_the_width_of_a_cnn_is_read_from_its_tensors(stores: Stores, tmp_path: Path) -> None:
    file = saved(tmp_path, cnn((3, 32, 32), 7, width=2).state_dict())

    manifest = manifest_of(stores, brought(stores, tmp_path, file, preprocessing=IMAGES))

    assert (manifest.architecture, manifest.features) == ("cnn", 128)


def without(tensors: Tensors, name: str) -> Tensors:
    return {key: value for key, value in tensors.items() if key != name}


BIAS = "_blocks.3._bn1.bias"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda lite: without(lite, BIAS), f"lite0 has the tensor '{BIAS}', which the file lacks"),
        (lambda lite: lite | {"_se.weight": torch.zeros(3)}, "the file has the tensor '_se.weight', which lite0 does"),
        (
            lambda lite: lite | {BIAS: torch.zeros(5)},
            f"the tensor '{BIAS}' has the shape 5, and lite0 for images of 224×224 pixels (height×width) has 144",
        ),
        (lambda lite: lite | {BIAS: torch.full((144,), torch.nan)}, f"the tensor '{BIAS}' has numbers that are not"),
        (lambda lite: lite | {BIAS: torch.full((144,), torch.inf)}, f"the tensor '{BIAS}' has numbers that are not"),
        (lambda lite: lite | {BIAS: torch.zeros(144, dtype=torch.int8)}, f"the tensor '{BIAS}' is int8"),
        (
            lambda lite: lite | {"_bn0.running_var": torch.full((32,), -1.0)},
            "the features of random images are not finite numbers",
        ),
        (lambda lite: {"weight": torch.zeros(3)}, "no tensor of the file, such as 'weight', has a name that lite0"),
        (lambda lite: {}, "no tensor of the file, which has none, has a name that lite0 knows"),
    ],
)
def test_tensors_that_do_not_fit_are_named(
    stores: Stores, tmp_path: Path, lite0: Tensors, change: Callable[[Tensors], Tensors], reason: str
) -> None:
    job = brought(stores, tmp_path, saved(tmp_path, change(lite0)), architecture="lite0")

    assert reason in rejected(stores, job)


def test_an_unknown_network_is_compared_with_the_nearest(stores: Stores, tmp_path: Path, lite0: Tensors) -> None:
    reason = rejected(stores, brought(stores, tmp_path, saved(tmp_path, without(lite0, BIAS))))

    assert reason.startswith("the tensors fit none of lite0, lite1, lite2, resnet18, cnn; the nearest is lite0: ")
    assert BIAS in reason


def test_resnet18_without_its_images_is_rejected(stores: Stores, tmp_path: Path) -> None:
    job = brought(stores, tmp_path, saved(tmp_path, TorchvisionResNet18().state_dict()))

    assert "the network is a resnet18; add the images that it was trained with" in rejected(stores, job)


HEADER = json.dumps({"x": {"dtype": "F32", "shape": [4], "data_offsets": [0, 99]}}).encode()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (save({"x": torch.zeros(9)})[:-4], "not a valid safetensors file"),
        ((10**9).to_bytes(8, "little") + b"{}", "the safetensors file is cut off"),
        ((2**21).to_bytes(8, "little") + b"{" + b" " * 2**21, "the header of the safetensors file has 2097152 bytes"),
        (len(HEADER).to_bytes(8, "little") + HEADER, "not a valid safetensors file"),
        (b"PK\x03\x04 a zip of torch.save", "the file is a pickle"),
        (b"\x80\x02}q\x00.", "the file is a pickle"),
        (b"\x89HDF\r\n\x1a\n", "the file is HDF5"),
        (b"", "an ONNX file needs the images"),
    ],
)
def test_malformed_files_are_rejected(stores: Stores, tmp_path: Path, content: bytes, reason: str) -> None:
    file = tmp_path / "bad"
    file.write_bytes(content)

    assert reason in rejected(stores, brought(stores, tmp_path, file))


def test_a_file_over_the_limit_is_not_read(stores: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEPOOL_BACKBONE_FILE_BYTES", "100")
    file = tmp_path / "large"
    file.write_bytes(bytes(101))

    reason = rejected(stores, brought(stores, tmp_path, file))

    assert reason == "the file has 101 bytes; a backbone can have at most 100"


@pytest.mark.parametrize(
    ("architecture", "reason"),
    [("lite0", "lite0 takes RGB images; leave preprocessing.mode out"), (None, "fit none of")],
)
def test_lite0_does_not_take_grey_images(
    stores: Stores, tmp_path: Path, lite0: Tensors, architecture: str | None, reason: str
) -> None:
    images = {"size": [224, 224], "mode": "L", "mean": [0.5], "std": [0.5]}
    file = saved(tmp_path, lite0)

    assert reason in rejected(stores, brought(stores, tmp_path, file, architecture=architecture, preprocessing=images))


def test_a_resnet18_of_grey_images_is_known(stores: Stores, tmp_path: Path) -> None:
    tensors = TorchvisionResNet18().state_dict()
    tensors["conv1.weight"] = tensors["conv1.weight"].sum(dim=1, keepdim=True)
    images = {"size": [96, 96], "mode": "L", "mean": [0.5], "std": [0.2]}

    manifest = manifest_of(stores, brought(stores, tmp_path, saved(tmp_path, tensors), preprocessing=images))

    assert (manifest.architecture, manifest.images.mode) == ("resnet18", "L")
