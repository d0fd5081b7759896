"""An archive becomes a dataset, or an error that says what is wrong with it."""

import base64
import hashlib
import tracemalloc
import zipfile
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from contract.datasets import Split
from contract.errors import BadArchive, BadDataset, Cancelled
from contract.images import ImageRequest, ImageSpec
from media.archives.limits import Limits
from media.images import decode
from services.preprocess import sampling
from services.preprocess.pipeline import data_uri
from services.preprocess.plan import plan_dataset
from tests.support.images import Files, class_folders, encoded, noise, png, png_header, zipped
from tests.support.preparation import DEFAULT, SPEC, Load, Prepare, Workshop

SAMPLE = Path(__file__).parents[3] / "examples" / "cifar10-sample.zip"


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


def test_the_same_archive_gives_the_same_bytes(prepared: Prepare) -> None:
    files = class_folders(count=30)

    one, other = prepared(files), prepared(files)

    for split in Split:
        assert [shard.images.sha256 for shard in one.shards[split]] == [s.images.sha256 for s in other.shards[split]]
        assert [shard.labels.sha256 for shard in one.shards[split]] == [s.labels.sha256 for s in other.shards[split]]
    assert one.thumbnails == other.thumbnails


def test_the_same_images_in_another_order_have_the_same_splits_and_data_hash(workshop: Workshop) -> None:
    files = class_folders(count=30)

    one, other = workshop.prepare(files), workshop.prepare(dict(reversed(files.items())))

    assert one.data_sha256 == other.data_sha256
    assert {(image.path, image.split) for image in workshop.index(one)} == {
        (image.path, image.split) for image in workshop.index(other)
    }


def test_the_data_hash_is_that_of_sorted_lines(workshop: Workshop) -> None:
    data = workshop.prepare(class_folders())

    lines = sorted(f"{image.sha256} {image.split} {image.label}\n" for image in workshop.index(data))

    assert data.data_sha256 == hashlib.sha256("".join(lines).encode()).hexdigest()


@pytest.mark.parametrize("most", [10_000, 7])
def test_the_index_names_the_shard_and_row_of_each_image(workshop: Workshop, most: int) -> None:
    sides = {f"{label}/{number}.png": 9 + 3 * number for label in ("cat", "dog") for number in range(20)}
    files = {name: encoded(noise(side, 8)) for name, side in sides.items()} | {"cat/bad.png": b"text"}

    data = workshop.prepare(files, most=most)

    index = workshop.index(data)
    assert {image.path for image in index} == set(sides)
    arrays = {split: workshop.shards(data, split) for split in Split}
    for image in index:
        assert image.sha256 == hashlib.sha256(files[image.path]).hexdigest()
        assert (image.width, image.height) == (8, sides[image.path])
        images, labels = arrays[image.split][image.shard]
        assert np.array_equal(images[image.row], decode(files[image.path], data.image))
        assert data.classes[labels[image.row]] == image.label == image.path.partition("/")[0]
    assert [(image.split, image.shard, image.row) for image in index] == [
        (split, shard, row)
        for split in Split
        for shard, (images, _) in enumerate(arrays[split])
        for row in range(len(images))
    ]


def test_equal_images_are_warned_of(prepared: Prepare) -> None:
    files = class_folders()

    data = prepared(files | {"dog/copy.png": next(iter(files.values()))})

    assert {"duplicate_images", "images_with_several_labels"} <= {warning.code for warning in data.warnings}


def test_repaired_images_are_counted_in_a_warning_and_rejected_if_strict(prepared: Prepare) -> None:
    cut = encoded(Image.fromarray(noise(64, 64)).resize((640, 640)), "JPEG")[:-400]

    data = prepared(class_folders() | {"cat/cut.jpg": cut})
    strict = prepared(class_folders() | {"cat/cut.jpg": cut}, SPEC.model_copy(update={"strict": True}))

    assert [(warning.code, warning.examples) for warning in data.warnings] == [("repaired_images", ("cat/cut.jpg",))]
    assert [rejected.file for rejected in strict.rejected_files] == ["cat/cut.jpg"]


def grey(seed: int) -> np.ndarray:
    """Noise without colour, as RGB."""
    return np.repeat(noise(40, 40, 1, seed)[:, :, None], 3, axis=2)


AUTO = SPEC.model_copy(update={"image": ImageRequest()})


def test_grey_images_that_are_stored_as_colour_become_one_channel(prepared: Prepare, loaded: Load) -> None:
    files = {f"{label}/{n}.png": encoded(grey(seed)) for seed, (label, n) in enumerate(product("ab", range(9)))}

    data = prepared(files, AUTO)

    assert data.image == ImageSpec(size=(40, 40), mode="L", resize="stretch")
    images, _ = loaded(data, Split.TRAIN)
    assert {image.tobytes() for image in images} < {decode(file, data.image).tobytes() for file in files.values()}
    assert data.warnings == ()


def test_an_image_in_colour_that_was_not_looked_at_is_warned_of(
    prepared: Prepare, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sampling, "MOST_SAMPLED", 2)
    files = {f"{label}/{n}.png": encoded(grey(seed)) for seed, (label, n) in enumerate(product("ab", range(9)))}

    data = prepared(files | {"a/4.png": encoded(noise(40, 40))}, AUTO)

    assert data.image.mode == "L"
    assert [(warning.code, warning.examples) for warning in data.warnings] == [("colour_in_grey_dataset", ("a/4.png",))]


def test_what_was_decided_is_in_the_manifest_and_what_was_asked_for_is_not(prepared: Prepare) -> None:
    decided = prepared(class_folders(), AUTO)
    fixed = prepared(class_folders())

    assert [choice.what for choice in decided.decisions] == ["image.mode", "image.size", "image.resize"]
    assert fixed.decisions == ()


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
        "cat/cut.jpg": "the image is cut off after 10 of its 64 rows",
        "cat/text.png": "not a readable image: text; leave it out",
        "dog/empty.png": "not a readable image: the file is empty",
        "dog/huge.png": "the image has 30000 x 30000 pixels; the limit is 134217728 in all",
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
    warning = next(warning for warning in data.warnings if warning.code == "hidden_folders")
    assert warning.examples == (".birds/0.png", ".birds/1.png")


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
        pytest.param(class_folders(under="test/"), "no training image can be used$", id="no training"),
    ],
)
def test_an_archive_without_usable_classes_is_rejected(prepared: Prepare, files: Files, reason: str) -> None:
    with pytest.raises(BadDataset, match=reason):
        prepared(files)


def test_a_file_that_is_not_a_zip_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "upload.zip").write_bytes(b"not a zip")

    with pytest.raises(BadArchive, match="not a zip or tar file"):
        plan_dataset(tmp_path / "upload.zip", SPEC, DEFAULT)


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


def test_a_plan_takes_few_bytes_for_each_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # given archives of which one has four times as many images, in folders around the classes
    monkeypatch.setattr(sampling, "MOST_SAMPLED", 10)
    image = png()
    counts = (1_250, 5_000)
    peaks = []
    for count in counts:
        files = {f"photos/animals/class-{number % 10}/{number:07d}.png": image for number in range(count)}
        path = zipped(tmp_path / f"{count}.zip", files, zipfile.ZIP_STORED)

        # when they are planned
        tracemalloc.start()
        plan = plan_dataset(path, SPEC, DEFAULT)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert len(plan.rows) == count

    # then an image takes its name, its place and little else
    assert np.diff(peaks)[0] / np.diff(counts)[0] < 320
