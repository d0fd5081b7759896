"""Validation of layer lists, and the output shapes of their layers."""

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from contract.errors import BadModel
from contract.layers import MAX_VALUES, Layer, Shape, kind_of, shapes

LISTS: TypeAdapter[tuple[Layer, ...]] = TypeAdapter(tuple[Layer, ...])
IMAGE = (3, 32, 24)
FLATTEN: dict[str, Any] = {"flatten": {}}


def output_shapes(*layers: dict[str, Any], image: tuple[int, int, int] = IMAGE) -> list[Shape]:
    return shapes(LISTS.validate_python(layers), image)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        ({"conv": 8}, (8, 32, 24)),
        ({"conv": 8, "kernel": 1}, (8, 32, 24)),
        ({"conv": 8, "kernel": 5}, (8, 32, 24)),
        ({"conv": 8, "kernel": 2}, (8, 33, 25)),  # the same padding on every side, so an even kernel adds a pixel
        ({"conv": 8, "stride": 2}, (8, 16, 12)),
        ({"conv": 8, "padding": "valid"}, (8, 30, 22)),
        ({"conv": 8, "kernel": 24, "padding": "valid"}, (8, 9, 1)),
        ({"conv": 8, "kernel": 5, "stride": 3, "padding": "valid"}, (8, 10, 7)),
        ({"maxpool": 2}, (3, 16, 12)),
        ({"maxpool": 5}, (3, 6, 4)),
        ({"avgpool": 24}, (3, 1, 1)),
        ({"relu": {}}, IMAGE),
        ({"gelu": {}}, IMAGE),
        ({"batchnorm": {}}, IMAGE),
        ({"dropout": 0.5}, IMAGE),
    ],
    ids=str,
)
def test_a_layer_on_an_image_has_the_expected_output_shape(layer: dict[str, Any], shape: Shape) -> None:
    assert output_shapes(layer, FLATTEN)[0] == shape


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        ({"flatten": {}}, (2304,)),
        ({"dense": 7}, (7,)),
        ({"relu": {}}, (2304,)),
        ({"gelu": {}}, (2304,)),
        ({"batchnorm": {}}, (2304,)),
        ({"dropout": 0}, (2304,)),
    ],
    ids=str,
)
def test_a_layer_on_a_flat_vector_has_the_expected_output_shape(layer: dict[str, Any], shape: Shape) -> None:
    assert output_shapes(FLATTEN, layer) == [(2304,), shape]


def test_global_pooling_removes_height_and_width() -> None:
    assert output_shapes({"conv": 8}, {"globalavgpool": {}}) == [(8, 32, 24), (8,)]


@pytest.mark.parametrize(
    ("layers", "fault"),
    [
        ([{"dense": 4}], r"layers\[0\] \(dense\) needs a flat input"),
        ([FLATTEN, {"conv": 4}], r"layers\[1\] \(conv\) needs an image"),
        ([FLATTEN, {"maxpool": 2}], r"layers\[1\] \(maxpool\) needs an image"),
        ([FLATTEN, {"avgpool": 2}], r"layers\[1\] \(avgpool\) needs an image"),
        ([FLATTEN, {"globalavgpool": {}}], r"layers\[1\] \(globalavgpool\) needs an image"),
        ([{"maxpool": 25}], r"layers\[0\] \(maxpool\) its window of 25 does not fit into 24 pixels"),
        ([{"relu": {}}, {"avgpool": 33}], r"layers\[1\] \(avgpool\) its window of 33 does not fit into 32 pixels"),
        ([{"conv": 4, "kernel": 33, "padding": "valid"}], r"layers\[0\] \(conv\) its window of 33"),
        ([{"relu": {}}], "the layers end in an image"),
        ([{"conv": 4096, "kernel": 1}] * 2, "the layers end in an image"),
    ],
    ids=str,
)
def test_an_error_names_the_layer_that_does_not_fit(layers: list[dict[str, Any]], fault: str) -> None:
    with pytest.raises(BadModel, match=fault):
        output_shapes(*layers)


def test_activations_are_limited() -> None:
    side = 128  # 4096 channels of 128 × 128 are 2 ** 26 values

    assert output_shapes({"conv": 4096, "kernel": 1}, FLATTEN, image=(3, side, side))[1] == (MAX_VALUES,)
    with pytest.raises(BadModel, match=r"layers\[0\] \(conv\) is too large"):
        output_shapes({"conv": 4096, "kernel": 1}, FLATTEN, image=(3, side, side + 1))


def test_the_weights_of_a_dense_layer_are_limited() -> None:
    side = 128  # 1 × 128 × 128 inputs by 4096 outputs are 2 ** 26 weights

    assert output_shapes(FLATTEN, {"dense": 4096}, image=(1, side, side))[1] == (4096,)
    with pytest.raises(BadModel, match=r"layers\[1\] \(dense\) is too large"):
        output_shapes(FLATTEN, {"dense": 4096}, image=(1, side, side + 1))


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        ({}, "is not a known layer; use one of conv, maxpool"),
        ({"lstm": 4}, "is not a known layer"),
        ("relu", "is not a known layer"),
        ({"conv": 0}, "greater than or equal to 1"),
        ({"conv": 4097}, "less than or equal to 4096"),
        ({"conv": 8.0}, "valid integer"),
        ({"conv": 8, "kernel": 65}, "kernel"),
        ({"conv": 8, "padding": "full"}, "padding"),
        ({"conv": 8, "relu": {}}, "Extra inputs"),
        ({"relu": {"slope": 1}}, "Extra inputs"),
        ({"dropout": 1}, "less than 1"),
        ({"dense": True}, "valid integer"),
    ],
    ids=str,
)
def test_an_invalid_layer_is_rejected(layer: Any, reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        LISTS.validate_python([layer])


@pytest.mark.parametrize(
    ("layer", "kind"),
    [({"kernel": 3, "conv": 8}, "conv"), ({"lstm": 1}, None), (LISTS.validate_python([FLATTEN])[0], "flatten")],
)
def test_the_kind_of_a_layer_is_recognized(layer: Any, kind: str | None) -> None:
    assert kind_of(layer) == kind
