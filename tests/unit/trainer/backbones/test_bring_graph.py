"""Backbone jobs on ONNX files that people bring, good and bad."""

from pathlib import Path

import pytest
from onnx import helper

from services.storage.stores import Stores
from tests.support.bringing import brought, manifest_of, rejected
from tests.support.job_runs import memory_stores
from tests.support.pretrained import IMAGENET, graph

IMAGES = {"size": [32, 32], "mean": [0.5, 0.4, 0.3], "std": [0.2, 0.2, 0.2]}
SMALL = {"preprocessing": IMAGES | {"size": [16, 16]}}


@pytest.fixture
def stores() -> Stores:
    return memory_stores()


@pytest.mark.parametrize("pooled", [False, True])
def test_a_graph_is_kept_as_uploaded(stores: Stores, tmp_path: Path, pooled: bool) -> None:
    file = graph(tmp_path, pooled=pooled)

    manifest = manifest_of(stores, brought(stores, tmp_path, file, licence="MIT", **SMALL))

    assert (manifest.format, manifest.features, manifest.images.size) == ("onnx", 8, (16, 16))
    assert (manifest.parameters, manifest.licence) == (216, "MIT")
    assert stores.objects.read(manifest.file) == file.read_bytes()


def test_the_size_of_the_images_is_read_from_the_graph(stores: Stores, tmp_path: Path) -> None:
    images = {name: value for name, value in IMAGES.items() if name != "size"}

    manifest = manifest_of(stores, brought(stores, tmp_path, graph(tmp_path), preprocessing=images))

    assert manifest.images.size == (16, 16)


def test_means_of_0_to_255_are_scaled(stores: Stores, tmp_path: Path) -> None:
    images = {"size": [16, 16], "mean": [127.5] * 3, "std": [51.0] * 3, "scale": 255}

    manifest = manifest_of(stores, brought(stores, tmp_path, graph(tmp_path), preprocessing=images))

    assert (manifest.images.mean, manifest.images.std) == ((0.5,) * 3, (0.2,) * 3)


BATCH_NORM = helper.make_node("Softmax", ["features"], ["scores"], axis=0)


@pytest.mark.parametrize(
    ("options", "metadata", "reason"),
    [
        ({"shape": (1, 3, 16, 16)}, SMALL, "the graph takes batches of 1 only; export it with a free first axis"),
        ({"shape": ("n", 3, "h", "w")}, {"preprocessing": IMAGENET}, "the graph takes images of any size; say in"),
        ({}, {"preprocessing": IMAGES}, "the graph takes images of [16, 16] pixels (height, width), and prep"),
        ({"opset": 12}, SMALL, "the graph has opset 12; export it again with opset 13 or newer"),
        ({"outputs": ("convolved",)}, SMALL, "no output of features float32 (n, f) or (n, f, 1, 1) with up to 16384"),
        ({}, {"architecture": "lite0"}, "the file is not safetensors; leave architecture out"),
        (
            {"extra": (BATCH_NORM,), "outputs": ("scores", "features")},
            SMALL,
            "the graph has several outputs of features float32",
        ),
    ],
)
def test_graphs_that_cannot_be_backbones_are_rejected(
    stores: Stores, tmp_path: Path, options: dict[str, object], metadata: dict[str, object], reason: str
) -> None:
    file = graph(tmp_path, **options)  # type: ignore[arg-type]

    assert reason in rejected(stores, brought(stores, tmp_path, file, **metadata))


def test_grey_backbones_do_not_fit_a_graph_of_colours(stores: Stores, tmp_path: Path) -> None:
    images = {"size": [16, 16], "mode": "L", "mean": [0.5], "std": [0.2]}

    reason = rejected(stores, brought(stores, tmp_path, graph(tmp_path), preprocessing=images))

    assert "set preprocessing.mode for 3 channels" in reason


def test_garbage_is_not_an_onnx_model(stores: Stores, tmp_path: Path) -> None:
    file = tmp_path / "garbage"
    file.write_bytes(b"garbage garbage garbage")

    assert rejected(stores, brought(stores, tmp_path, file, **SMALL)) == "the file is not an ONNX model"
