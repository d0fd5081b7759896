"""Images are decoded in order; bad ones yield a reason."""

import zipfile
from pathlib import Path

import numpy as np
import pytest

from contract.errors import BadArchive
from contract.images import ImageSpec
from media.archives.archive import Archive
from media.archives.decoding import decoded
from media.archives.limits import MIB, Limits
from media.archives.rejections import Rejections
from tests.support.images import encoded, noise, zipped

SPEC = ImageSpec(size=(8, 8))
DEFAULT = Limits(pixels=64)


@pytest.fixture
def files() -> dict[str, bytes]:
    files = {f"cat/{number}.png": encoded(noise(seed=number)) for number in range(300)}
    return files | {"cat/70.png": b"text", "cat/200.png": encoded(noise(9, 8))}


def archive(folder: Path, files: dict[str, bytes], limits: Limits = DEFAULT) -> Archive:
    return Archive(zipped(folder / "upload.zip", files), limits, Rejections())


def test_order_is_kept_including_bad_images(tmp_path: Path, files: dict[str, bytes]) -> None:
    results = list(decoded(files, archive(tmp_path, files), SPEC))

    assert [name for name, _ in results] == list(files)
    reasons = {name: result for name, result in results if isinstance(result, str)}
    assert reasons == {
        "cat/70.png": "not a readable image: text; leave it out",
        "cat/200.png": "the image has 8 x 9 pixels; the limit is 64 in all",
    }
    good = {name: result.pixels for name, result in results if not isinstance(result, str)}
    assert all(np.array_equal(good[f"cat/{n}.png"], noise(seed=n).transpose(2, 0, 1)) for n in (0, 63, 64, 299))


@pytest.mark.parametrize("side", [8, 700], ids=["many in a batch", "one in a batch"])
def test_unreadable_file_yields_its_reason(tmp_path: Path, side: int) -> None:
    source = archive(tmp_path, {"a": bytes(2000), "b": encoded(noise())}, Limits(member_bytes=1000))

    (_, reason), (_, image) = decoded(["a", "b"], source, ImageSpec(size=(side, side)))

    assert reason == "inflates to over 1000 bytes"
    assert not isinstance(image, str)
    assert (image.pixels.shape, image.width, image.height, image.repaired) == ((3, side, side), 8, 8, False)


def test_an_image_that_is_cut_off_is_repaired_unless_strict(tmp_path: Path) -> None:
    files = {"a.jpg": encoded(noise(), "JPEG")[:-2]}

    ((_, repaired),) = decoded(files, archive(tmp_path, files), SPEC)
    ((_, reason),) = decoded(files, archive(tmp_path, files), SPEC, strict=True)

    assert not isinstance(repaired, str)
    assert repaired.repaired
    assert reason == "the image is cut off after 8 of its 8 rows; without `strict` it is repaired"


def test_exceeding_the_archive_limit_ends_the_decoding(tmp_path: Path, files: dict[str, bytes]) -> None:
    source = archive(tmp_path, files, Limits(total_bytes=20_000))

    with pytest.raises(BadArchive, match="inflates to over 20000 bytes"):
        list(decoded(files, source, SPEC))


def test_large_files_are_not_read_far_ahead(tmp_path: Path) -> None:
    class Counting(Archive):
        reads = 0

        def read(self, name: str) -> bytes:
            self.reads += 1
            return super().read(name)

    large = np.random.default_rng(0).bytes(MIB)
    path = zipped(tmp_path / "upload.zip", {str(number): large for number in range(20)}, zipfile.ZIP_STORED)
    source = Counting(path, DEFAULT, Rejections())

    next(decoded(source.names, source, SPEC))

    assert source.reads < 10
