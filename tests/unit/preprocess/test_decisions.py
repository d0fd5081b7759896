"""Size, mode and resize that are decided from the images."""

import numpy as np
import pytest

from contract.images import ImageRequest, ImageSpec
from services.preprocess.decisions import Sample, decide

AUTO = ImageRequest()


def sample(*sizes: tuple[int, int], total: int | None = None, grey: bool = False) -> Sample:
    """A sample of images of these widths and heights."""
    return Sample(np.array(sizes).reshape(-1, 2), grey, len(sizes) if total is None else total)


@pytest.mark.parametrize(
    ("images", "size"),
    [
        pytest.param(sample(*[(28, 28)] * 9), (28, 28), id="all of one small size"),
        pytest.param(sample(*[(20, 32)] * 9), (32, 20), id="all of one small size that is not square"),
        pytest.param(sample(*[(65, 65)] * 9), (64, 64), id="all of one size that is not small"),
        pytest.param(sample((30, 31), (36, 40), (33, 33)), (32, 32), id="about 32"),
        pytest.param(sample((4000, 3000), (3000, 4000)), (224, 224), id="photos"),
        pytest.param(sample((400, 300), (150, 500), (90, 80)), (128, 128), id="the typical shorter side"),
        pytest.param(sample((400, 300), total=60_000), (128, 128), id="no more than 4 GiB"),
        pytest.param(sample((400, 300), total=1_000_000), (32, 32), id="a million images"),
        pytest.param(sample((5, 6), (7, 7), (6, 6)), (8, 8), id="tiny"),
        pytest.param(sample(), (32, 32), id="no image can be read"),
    ],
)
def test_the_size_follows_the_sizes_and_the_number_of_images(images: Sample, size: tuple[int, int]) -> None:
    spec, choices = decide(AUTO, images)

    assert spec.size == size
    assert next(choice.value for choice in choices if choice.what == "image.size") == list(size)


@pytest.mark.parametrize(
    ("images", "resize"),
    [
        pytest.param(sample((100, 100), (300, 300)), "stretch", id="all square"),
        pytest.param(sample((400, 300), (300, 400), (300, 300)), "crop", id="photos"),
        pytest.param(sample((800, 200), (640, 100), (400, 300)), "pad", id="wide"),
        pytest.param(sample((100, 420), (100, 500)), "pad", id="tall"),
    ],
)
def test_wide_images_are_padded_and_others_cropped(images: Sample, resize: str) -> None:
    assert decide(AUTO, images)[0].resize == resize


def test_the_aspect_ratio_of_a_requested_size_counts() -> None:
    request = AUTO.model_copy(update={"size": (100, 400)})

    assert decide(request, sample((800, 200), (640, 160)))[0] == ImageSpec(size=(100, 400), resize="stretch")
    assert decide(request, sample((200, 200), (640, 160)))[0].resize == "pad"


@pytest.mark.parametrize(("grey", "mode"), [(True, "L"), (False, "RGB")])
def test_images_without_colour_have_one_channel(grey: bool, mode: str) -> None:
    assert decide(AUTO, sample((40, 40), grey=grey))[0].mode == mode


def test_grey_images_may_be_larger_within_the_limit_of_bytes() -> None:
    assert decide(AUTO, sample((400, 300), total=60_000, grey=True))[0].size == (224, 224)


def test_requested_fields_are_kept_and_have_no_choice() -> None:
    request = ImageRequest(size=(20, 30), mode="L")

    spec, choices = decide(request, sample((400, 300)))

    assert spec == ImageSpec(size=(20, 30), mode="L", resize="crop")
    assert [choice.what for choice in choices] == ["image.resize"]


def test_the_reason_has_the_numbers_that_decided() -> None:
    _, choices = decide(AUTO, sample(*[(600, 400)] * 3, total=3781))

    reasons = {choice.what: choice.because for choice in choices}
    assert reasons["image.size"].startswith(
        "half of the 3 images looked at are at least 400 pixels on the shorter side; 224 is"
    )
    assert reasons["image.resize"] == "cropping cuts off 33% of the typical image, at the edges"
