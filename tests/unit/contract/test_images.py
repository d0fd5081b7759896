"""The shape that an image specification asks for."""

from typing import Any

import pytest
from pydantic import ValidationError

from contract.images import ImageSpec


@pytest.mark.parametrize(
    ("spec", "shape"),
    [
        (ImageSpec(), (3, 32, 32)),
        (ImageSpec(mode="L"), (1, 32, 32)),
        (ImageSpec(size=(24, 48)), (3, 24, 48)),
    ],
)
def test_the_shape_is_channels_height_width(spec: ImageSpec, shape: tuple[int, int, int]) -> None:
    assert spec.shape == shape


@pytest.mark.parametrize(
    "fault", [{"size": (0, 1)}, {"size": (1, 1025)}, {"size": (1, 1, 1)}, {"mode": "CMYK"}, {"resize": "zoom"}], ids=str
)
def test_an_invalid_image_spec_is_rejected(fault: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ImageSpec.model_validate(fault)
