"""Normalisation of pixels."""

import numpy as np
import pytest

from contract.errors import BadModel
from contract.images import ImageSpec, Preprocessing
from services.inference.engine.normalization import Normalization
from tests.support.onnx_models import CARD


def test_every_pixel_value_is_normalised_by_the_formula() -> None:
    values = np.arange(256, dtype=np.uint8)
    images = np.broadcast_to(values.reshape(1, 1, 16, 16), (2, 3, 16, 16))
    out = np.empty(images.shape, np.float32)

    Normalization.of(CARD.preprocessing).apply(images, out)

    mean, std = (np.array(values).reshape(-1, 1, 1) for values in (CARD.preprocessing.mean, CARD.preprocessing.std))
    np.testing.assert_allclose(out, (images / 255 - mean) / std, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("mean", "std"),
    [((0.5,), (0.2,)), ((0.5,) * 3, (0.2,) * 2), ((), ()), ((0.5,) * 3, (0.2, 0.0, 0.2)), ((0.5,) * 3, (-0.2,) * 3)],
)
def test_each_channel_needs_one_mean_and_one_positive_std(mean: tuple[float, ...], std: tuple[float, ...]) -> None:
    with pytest.raises(BadModel, match="3 mean and 3 positive std"):
        Normalization.of(Preprocessing(image=ImageSpec(), mean=mean, std=std))
