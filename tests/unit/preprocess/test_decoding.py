"""Many pictures are decoded in order, and bad ones among them have their reasons."""

import zipfile
from pathlib import Path

import numpy as np
import pytest

from contract.errors import BadArchive
from contract.images import ImageSpec
from services.preprocess.archive import Archive
from services.preprocess.decoding import decoded
from services.preprocess.layout import Picture
from services.preprocess.limits import MIB, Limits
from services.preprocess.rejections import Rejections
from tests.pictures import encoded, noise, zipped

SPEC = ImageSpec(size=(8, 8))
DEFAULT = Limits()


@pytest.fixture
def files() -> dict[str, bytes]:
    files = {f"cat/{number}.png": encoded(noise(seed=number)) for number in range(300)}
    return files | {"cat/70.png": b"text", "cat/200.png": encoded(noise(9, 8))}


def archive(folder: Path, files: dict[str, bytes], limits: Limits = DEFAULT) -> Archive:
    return Archive(zipped(folder / "upload.zip", files), limits, Rejections())


def test_order_is_kept_and_bad_pictures_stay_in_their_place(tmp_path: Path, files: dict[str, bytes]) -> None:
    pictures = [Picture(name, "cat", None) for name in files]

    results = list(decoded(pictures, archive(tmp_path, files), SPEC, max_pixels=64))

    assert [picture for picture, _ in results] == pictures
    reasons = {picture.name: pixels for picture, pixels in results if isinstance(pixels, str)}
    assert reasons == {
        "cat/70.png": "not a readable JPEG, PNG, WebP or BMP image",
        "cat/200.png": "the image has 8 x 9 pixels; the limit is 64 in all",
    }
    good = {picture.name: pixels for picture, pixels in results if not isinstance(pixels, str)}
    assert all(np.array_equal(good[f"cat/{n}.png"], noise(seed=n).transpose(2, 0, 1)) for n in (0, 63, 64, 299))


@pytest.mark.parametrize("side", [8, 700], ids=["many in a batch", "one in a batch"])
def test_unreadable_file_has_its_reason(tmp_path: Path, side: int) -> None:
    source = archive(tmp_path, {"a": bytes(2000), "b": encoded(noise())}, Limits(member_bytes=1000))
    pictures = [Picture("a", "cat", None), Picture("b", "cat", None)]

    (_, reason), (_, pixels) = decoded(pictures, source, ImageSpec(size=(side, side)), max_pixels=64)

    assert reason == "inflates to over 1000 bytes"
    assert not isinstance(pixels, str)
    assert pixels.shape == (3, side, side)


def test_fault_of_the_archive_ends_it(tmp_path: Path, files: dict[str, bytes]) -> None:
    source = archive(tmp_path, files, Limits(total_bytes=20_000))

    with pytest.raises(BadArchive, match="inflates to over 20000 bytes"):
        list(decoded([Picture(name, "cat", None) for name in files], source, SPEC, max_pixels=64))


def test_large_files_are_not_read_far_ahead(tmp_path: Path) -> None:
    class Counting(Archive):
        reads = 0

        def read(self, name: str) -> bytes:
            self.reads += 1
            return super().read(name)

    large = np.random.default_rng(0).bytes(MIB)
    path = zipped(tmp_path / "upload.zip", {str(number): large for number in range(20)}, zipfile.ZIP_STORED)
    source = Counting(path, DEFAULT, Rejections())

    next(decoded([Picture(name, "cat", None) for name in source.names], source, SPEC, max_pixels=64))

    assert source.reads < 10
