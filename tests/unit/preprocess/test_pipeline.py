"""An archive becomes a dataset, or an error that says what is wrong with it."""

import base64
import zipfile
from pathlib import Path

import numpy as np
import pytest

from contract.datasets import Split
from contract.errors import BadArchive, BadDataset, Cancelled
from contract.images import ImageSpec
from media.archives.limits import Limits
from media.images import decode
from services.preprocess.pipeline import data_uri, opened
from tests.support.images import Files, class_folders, encoded, noise, png, png_header
from tests.support.preparation import DEFAULT, SPEC, Load, Prepare

SAMPLE = Path(__file__).parents[3] / "examples" / "cifar10-sample.zip"
TRAINED = class_folders(under="train/")


def test_class_folders_become_a_dataset(prepared: Prepare, loaded: Load) -> None:
    files = class_folders(["dog", "cat"], count=20)

    data = prepared(files)

    assert data.classes == ("cat", "dog")
    assert data.counts.model_dump() == {"train": 32, "val": 4, "test": 4}
    assert data.counts_by_class[Split.VAL] == {"cat": 2, "dog": 2}
    assert (data.rejected, data.rejected_files) == (0, ())
    assert [thumbnail.label for thumbnail in data.thumbnails] == ["cat", "dog"]
    images, labels = loaded(data, Split.TRAIN)
    scaled = images / 255
    assert data.mean == pytest.approx(scaled.mean(axis=(0, 2, 3)))
    assert data.std == pytest.approx(scaled.std(axis=(0, 2, 3)))
    assert np.bincount(labels).tolist() == [16, 16]


def test_every_image_keeps_its_label(prepared: Prepare, loaded: Load) -> None:
    shades = {"black": 0, "grey": 100, "white": 255}
    flat = {label: encoded(np.full((8, 8, 3), shade, np.uint8)) for label, shade in shades.items()}

    data = prepared({f"{label}/{number}.png": flat[label] for label in flat for number in range(40)})

    for split in Split:
        images, labels = loaded(data, split)
        assert np.array_equal(images[:, 0, 0, 0], np.array([0, 100, 255])[labels])


def test_the_same_names_give_the_same_bytes_in_any_order(prepared: Prepare) -> None:
    files = class_folders(count=30)

    one, other = prepared(files), prepared(dict(reversed(files.items())))

    for split in Split:
        assert [shard.images.sha256 for shard in one.shards[split]] == [s.images.sha256 for s in other.shards[split]]
        assert [shard.labels.sha256 for shard in one.shards[split]] == [s.labels.sha256 for s in other.shards[split]]
    assert one.thumbnails == other.thumbnails


def test_a_dataset_can_be_grey(prepared: Prepare, loaded: Load) -> None:
    data = prepared(class_folders(), SPEC.model_copy(update={"image": ImageSpec(size=(4, 6), mode="L")}))

    assert loaded(data, Split.TRAIN)[0].shape == (16, 1, 4, 6)
    assert len(data.mean) == len(data.std) == 1


def test_a_manifest_may_have_a_byte_order_mark_and_a_wrapping_folder(prepared: Prepare) -> None:
    rows = [
        f"images/{number}.png,{'cat' if number % 2 else 'dog'},{'test' if number > 7 else ''}" for number in range(10)
    ]
    csv = b"\xef\xbb\xbf" + "\n".join(["path,label,split", *rows]).encode()

    data = prepared({"pets/labels.csv": csv} | {f"pets/images/{number}.png": png(number) for number in range(10)})

    assert data.counts_by_class[Split.TEST] == {"cat": 1, "dog": 1}
    assert data.counts.train + data.counts.val == 8


def test_bad_files_are_listed_and_the_rest_is_used(prepared: Prepare) -> None:
    bad = {
        "cat/cut.jpg": encoded(noise(64, 64), "JPEG")[:1000],
        "cat/text.png": b"this is text",
        "dog/huge.png": png_header(30000, 30000),
        "dog/empty.png": b"",
        "dog/inner.zip": b"PK",
        "readme.txt": b"hello",
    }

    data = prepared(class_folders() | bad)

    assert sum(data.counts.model_dump().values()) == 20
    assert data.rejected == 6
    assert {item.file: item.reason for item in data.rejected_files} == {
        "cat/cut.jpg": "the image is damaged or cut off",
        "cat/text.png": "not a readable JPEG, PNG, WebP or BMP image",
        "dog/empty.png": "not a readable JPEG, PNG, WebP or BMP image",
        "dog/huge.png": "the image has 30000 x 30000 pixels; the limit is 67108864 in all",
        "dog/inner.zip": "nested archive",
        "readme.txt": "has no class folder",
    }


def test_every_file_of_an_archive_is_an_image_a_rejection_or_clutter(prepared: Prepare) -> None:
    clutter = [
        "cat/@eaDir/0.png",
        "dog/.ipynb_checkpoints/0.png",
        "Thumbs.db",
        "dog/Desktop.ini",
        "__MACOSX/cat/._0.png",
    ]
    hidden = [".birds/0.png", ".birds/1.png", "cat/.0.png"]

    data = prepared(class_folders() | dict.fromkeys([*clutter, *hidden], png()) | {"birds.csv": b"name,colour"})

    assert data.classes == ("cat", "dog")
    assert sum(data.counts.model_dump().values()) == 20
    assert [item.file for item in data.rejected_files] == sorted([*hidden, "birds.csv"])
    assert all("begins with a dot" in item.reason for item in data.rejected_files if item.file in hidden)


def test_rejected_files_are_all_counted_and_a_thousand_listed(prepared: Prepare) -> None:
    data = prepared(class_folders() | {f"cat/x{number:04d}.png": b"" for number in range(1100)})

    assert data.rejected == 1100
    assert len(data.rejected_files) == 1000
    assert data.rejected_files[-1].file == "cat/x0999.png"


def test_the_first_twenty_classes_have_a_thumbnail(prepared: Prepare) -> None:
    data = prepared(class_folders([f"{number:02d}" for number in range(25)], count=2))

    assert [thumbnail.label for thumbnail in data.thumbnails] == [f"{number:02d}" for number in range(20)]
    assert all(thumbnail.image.startswith("data:image/png;base64,") for thumbnail in data.thumbnails)


def test_a_class_name_may_be_an_emoji(prepared: Prepare) -> None:
    assert prepared(class_folders(["😀", "cat"])).classes == ("cat", "😀")


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        pytest.param(class_folders(["cat"]), "at least two classes", id="one class"),
        pytest.param({"cat/": b"", "dog/": b""}, "no image with a class", id="only folders"),
        pytest.param({"cat/1.png": b"", "dog/1.png": b"text"}, "can be used; rejected: 'cat/1.png'", id="no image"),
        pytest.param(
            class_folders() | {"owl/1.png": b""}, r"'owl' .*; rejected: 'owl/1.png' \(not a", id="empty class"
        ),
        pytest.param(TRAINED | {"test/owl/1.png": png()}, "class 'owl' has no usable training", id="untrained class"),
        pytest.param(class_folders(under="test/"), "no training image can be used$", id="no training"),
    ],
)
def test_an_archive_without_usable_classes_is_rejected(prepared: Prepare, files: Files, reason: str) -> None:
    with pytest.raises(BadDataset, match=reason):
        prepared(files)


def test_a_file_that_is_not_a_zip_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "upload.zip").write_bytes(b"not a zip")

    with pytest.raises(BadArchive, match="not a zip or tar file"), opened(tmp_path / "upload.zip", SPEC, DEFAULT):
        pass


def test_an_archive_over_its_limits_is_rejected(prepared: Prepare) -> None:
    with pytest.raises(BadArchive, match="inflates to over 3000 bytes"):
        prepared(class_folders(), limits=Limits(total_bytes=3000))


def test_progress_is_reported_to_the_end(prepared: Prepare) -> None:
    steps: list[tuple[float, str]] = []

    prepared(class_folders(), on_step=lambda fraction, message: steps.append((fraction, message)))

    assert steps[0] == (1 / 20, "1 of 20 images")
    assert steps[-1] == (1.0, "20 images prepared")
    assert steps == sorted(steps)


def test_an_error_raised_in_on_step_passes_through(prepared: Prepare) -> None:
    def cancel(*_: object) -> None:
        raise Cancelled("cancelled")

    with pytest.raises(Cancelled):
        prepared(class_folders(), on_step=cancel)


def test_a_tenth_of_the_sample_is_prepared(prepared: Prepare, loaded: Load) -> None:
    with zipfile.ZipFile(SAMPLE) as sample:
        names = sorted(sample.namelist())[::10]
        files = {name: sample.read(name) for name in names}

    data = prepared(files, SPEC.model_copy(update={"image": ImageSpec()}))

    assert len(data.classes) == 10
    assert (data.counts.train + data.counts.val, data.counts.test) == (500, 100)
    assert data.rejected == 0
    assert loaded(data, Split.TRAIN)[0].shape == (data.counts.train, 3, 32, 32)
    assert data.mean == pytest.approx((0.491, 0.482, 0.447), abs=0.03)  # of the whole of CIFAR-10
    assert data.std == pytest.approx((0.247, 0.243, 0.262), abs=0.03)


def thumbnail_pixels(uri: str, spec: ImageSpec) -> np.ndarray:
    head, data = uri.split(",")
    assert head == "data:image/png;base64"
    return decode(base64.b64decode(data), spec)


@pytest.mark.parametrize(("mode", "channels"), [("RGB", 3), ("L", 1)])
def test_the_thumbnail_of_a_small_image_has_its_pixels(mode: str, channels: int) -> None:
    pixels = noise(20, 30, channels).reshape(20, 30, channels).transpose(2, 0, 1)

    assert np.array_equal(thumbnail_pixels(data_uri(pixels), ImageSpec(size=(20, 30), mode=mode)), pixels)


def test_the_thumbnail_of_a_large_image_has_at_most_64_pixels_a_side() -> None:
    pixels = np.full((3, 200, 100), 90, np.uint8)

    uri = data_uri(pixels)

    header = base64.b64decode(uri.split(",")[1])[16:24]
    assert (int.from_bytes(header[:4]), int.from_bytes(header[4:])) == (32, 64)
    assert np.array_equal(thumbnail_pixels(uri, ImageSpec(size=(64, 32))), np.full((3, 64, 32), 90))
