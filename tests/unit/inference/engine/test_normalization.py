"""Normalisation of pixels."""

import numpy as np
import pytest
from numpy.typing import NDArray

from contract.errors import BadModel
from contract.images import ImageSpec, Layout, PixelType, Preprocessing, Scale
from services.inference.engine.normalization import InputBuffer
from tests.support.onnx_models import CARD

VALUES = np.broadcast_to(np.arange(256, dtype=np.uint8).reshape(1, 1, 16, 16), (2, 3, 16, 16))
RAW = {"mean": (0.0,) * 3, "std": (1.0,) * 3, "scale": 255}


def preprocessing(**changes: object) -> Preprocessing:
    card = CARD.preprocessing
    return Preprocessing.model_validate(
        {"image": ImageSpec(size=(16, 16)), "mean": card.mean, "std": card.std} | changes
    )


def filled(spec: Preprocessing, images: NDArray[np.uint8] = VALUES) -> NDArray[np.generic]:
    buffer = InputBuffer(spec, len(images))
    buffer.fill(images)
    return buffer.rows(len(images))


def test_every_pixel_value_is_normalised_by_the_formula() -> None:
    mean, std = (np.array(values).reshape(-1, 1, 1) for values in (CARD.preprocessing.mean, CARD.preprocessing.std))

    np.testing.assert_allclose(filled(preprocessing()), (VALUES / 255 - mean) / std, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("mean", "std", "scale", "expected"),
    [
        ((0.5,) * 3, (0.5,) * 3, 1, VALUES / 127.5 - 1),
        ((0.0,) * 3, (1.0,) * 3, 1, VALUES / 255),
        ((0.0,) * 3, (1.0,) * 3, 255, VALUES),
        ((127.0,) * 3, (128.0,) * 3, 255, (VALUES.astype(float) - 127) / 128),
    ],
    ids=["-1..1", "0..1", "0..255", "values of 0..255"],
)
def test_mean_and_std_are_of_pixels_in_the_scale(
    mean: tuple[float, ...], std: tuple[float, ...], scale: Scale, expected: NDArray[np.float64]
) -> None:
    np.testing.assert_allclose(filled(preprocessing(mean=mean, std=std, scale=scale)), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("dtype", ["float16", "float64", "uint8"])
def test_inputs_have_the_type_of_the_graph(dtype: PixelType) -> None:
    inputs = filled(preprocessing(dtype=dtype, **RAW))

    assert inputs.dtype == dtype
    np.testing.assert_array_equal(inputs, VALUES)


@pytest.mark.parametrize("dtype", ["float32", "float16", "uint8"])
def test_channels_can_be_last(dtype: PixelType) -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, 3, 4, 5), np.uint8)
    spec = {"image": ImageSpec(size=(4, 5)), "dtype": dtype} | RAW

    inputs = filled(preprocessing(layout="NHWC", **spec), images)

    assert inputs.flags.c_contiguous
    np.testing.assert_array_equal(inputs, images.transpose(0, 2, 3, 1))


@pytest.mark.parametrize(("layout", "shape"), [("NCHW", (2, 1, 4, 5)), ("NHWC", (2, 4, 5, 1)), ("NHW", (2, 4, 5))])
def test_one_channel_images_have_three_layouts(layout: Layout, shape: tuple[int, ...]) -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, 1, 4, 5), np.uint8)
    spec = preprocessing(image=ImageSpec(size=(4, 5), mode="L"), layout=layout, mean=(0.0,), std=(1.0,), scale=255)

    inputs = filled(spec, images)

    assert inputs.shape == shape
    np.testing.assert_array_equal(inputs.ravel(), images.ravel())


@pytest.mark.parametrize(
    ("mean", "std"),
    [((0.5,), (0.2,)), ((0.5,) * 3, (0.2,) * 2), ((), ()), ((0.5,) * 3, (0.2, 0.0, 0.2)), ((0.5,) * 3, (-0.2,) * 3)],
)
def test_each_channel_needs_one_mean_and_one_positive_std(mean: tuple[float, ...], std: tuple[float, ...]) -> None:
    with pytest.raises(BadModel, match="3 mean and 3 positive std"):
        InputBuffer(preprocessing(mean=mean, std=std), 1)
