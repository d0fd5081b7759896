"""A table whose columns have unusual names labels the images by what the spec says, and is pointed out before that."""

from collections import Counter
from collections.abc import Mapping

import pytest

from contract.datasets import Split
from contract.errors import BadDataset
from contract.kinds.preprocess import LayoutSpec
from media.archives.limits import Limits
from media.archives.rejections import Rejections
from services.preprocess.layout import arrange
from services.preprocess.warnings import Warnings

TRAIN, VAL, TEST = Split.TRAIN, Split.VAL, Split.TEST
NUMBERS = range(12)


def table(header: str, row: str) -> str:
    """Make a CSV of a row for each number, in which `{label}` is one of three classes."""
    rows = [row.format(number=number, label=("nv", "mel", "bkl")[number % 3], half=number // 2) for number in NUMBERS]
    return "\n".join([header, *rows])


def images(folder: str, numbers: range = NUMBERS, suffix: str = ".jpg") -> dict[str, str]:
    return {f"{folder}/{number}{suffix}": "" for number in numbers}


def arranged(files: Mapping[str, str], **layout: str) -> tuple[Counter[str], set[Split | None], Warnings]:
    warnings, spec = Warnings(), LayoutSpec.model_validate(layout)
    found = arrange(tuple(files), lambda name: files[name].encode(), Limits(), Rejections(), spec, warnings=warnings)
    return Counter(image.label for image in found), {image.split for image in found}, warnings


PARTS = images("part_1", range(6)) | images("part_2", range(6, 12))
HAM = PARTS | {"metadata.csv": table("lesion_id,image_id,dx,age", "HAM_{number},{number},{label},{number}")}
BREEDS = images("train") | images("test", range(20, 22)) | {"labels.csv": table("id,breed", "{number},{label}")}
DIAGNOSES = images("train_images") | {"train.csv": table("id_code,diagnosis", "{number},{label}")}
CHESTS = images("images_001/images", range(6)) | images("images_002/images", range(6, 12))
CHESTS |= {"Data.csv": table("Image Index,Finding Labels,Patient ID", "{number}.jpg,{label},{half}")}
FILES = images("pictures") | {"x.csv": table("photo;class", "{number};{label}")}


@pytest.mark.parametrize("wrapper", ["", "data/"])
@pytest.mark.parametrize(
    ("files", "hint", "layout"),
    [
        (HAM, r"part_1, part_2 do not name classes; metadata.csv .* 'image_id'.* set layout.label_column to 'dx'",
         {"label_column": "dx"}),
        (BREEDS, r"'id', but none .*; if one of them names it, set layout.label_column to 'breed'; read as",
         {"label_column": "Breed"}),
        (DIAGNOSES, r"set layout.path_column to 'id_code' and layout.label_column to 'diagnosis'",
         {"path_column": "id_code", "label_column": "diagnosis"}),
        (CHESTS, r"'Image Index' and layout.label_column to 'Finding Labels' or 'Patient ID'",
         {"path_column": "Image Index", "label_column": "finding labels"}),
        (FILES, r"names the images in its column 'photo'; if it labels them, set layout.path_column to 'photo'",
         {"path_column": "photo"}),
    ],
)  # fmt: skip
def test_columns_of_unusual_names_are_shown_and_can_be_named(
    files: Mapping[str, str], hint: str, layout: dict[str, str], wrapper: str
) -> None:
    files = {wrapper + name: text for name, text in files.items()}

    with pytest.raises(BadDataset, match=hint):
        arranged(files)
    labels, _, _ = arranged(files, **layout)

    assert labels == {"nv": 4, "mel": 4, "bkl": 4}


def test_a_manifest_csv_with_unusual_columns_is_refused_with_their_names() -> None:
    with pytest.raises(BadDataset, match=r"manifest.csv needs the columns.*; manifest.csv .*label_column to 'kind'"):
        arranged(images("a") | {"manifest.csv": table("file,kind", "{number},{label}")})


def test_a_table_without_a_header_is_refused_with_what_to_do() -> None:
    with pytest.raises(BadDataset, match=r"list.csv names an image in its first line; put the names of the columns"):
        arranged(
            images("a") | {"list.csv": table("TRAIN,gs://bucket/a/0.jpg,nv", "TRAIN,gs://bucket/a/{number}.jpg,nv")}
        )


def test_captions_and_measurements_are_no_classes() -> None:
    with pytest.raises(BadDataset, match="needs the columns"):
        arranged(images("a") | {"metadata.csv": table("file_name,text,width", "{number}.jpg,photo {number},640")})


def test_class_folders_count_beside_a_table_that_is_pointed_out() -> None:
    folders = images("Train/0", range(6)) | images("Train/1", range(6, 12)) | images("Test", range(20, 23))
    tests = "Path,ClassId\n" + "".join(f"Test/{number}.jpg,{number % 2}\n" for number in range(20, 24))
    files = folders | {"Train.csv": table("Path,ClassId", "{number}.jpg,{half}"), "Test.csv": tests}

    labels, splits, warnings = arranged(files)
    assert labels == {"0": 6, "1": 6}
    assert splits == {TRAIN}
    assert "layout.label_column to 'ClassId'" in warnings.all[0].advice

    labels, splits, _ = arranged(files, label_column="ClassId")
    assert sum(labels.values()) == 15
    assert splits == {TRAIN, TEST}


@pytest.mark.parametrize(
    ("layout", "reason"),
    [
        ({"label_column": "x"}, r"the column 'x', but no table .*: labels.csv has no column 'x'; its columns are id"),
        ({"path_column": "y"}, "labels.csv has no column 'y'"),
    ],
)  # fmt: skip
def test_a_column_that_no_table_has_is_refused(layout: dict[str, str], reason: str) -> None:
    with pytest.raises(BadDataset, match=reason):
        arranged(BREEDS, **layout)
    with pytest.raises(BadDataset, match="but no table of the archive that names its images has it; the first paths"):
        arranged({"cat/1.jpg": "", "dog/1.jpg": ""}, **layout)


@pytest.mark.parametrize("header", ["id,image_name,label", "path,filename,labels", "id,img_path,class_name"])
def test_of_several_columns_the_one_that_names_files_is_used(header: str) -> None:
    labels, _, _ = arranged(
        images("img", suffix=".png") | {"train.csv": table(header, "x{number},{number}.png,{label}")}
    )

    assert set(labels) == {"nv", "mel", "bkl"}


@pytest.mark.parametrize("column", ["split", "subset", "Data Set", "partition"])
def test_a_column_of_splits_is_known_by_its_values(column: str) -> None:
    text = f"file,label,{column}\n" + "".join(
        f"{number}.jpg,{('a', 'b')[number % 2]},{split}\n"
        for number, split in enumerate(["TRAIN", "TRAIN", "Validation", "test", "UNASSIGNED"])
    )

    assert arranged(images("img") | {"t.csv": text})[1] == {TRAIN, VAL, TEST, None}
    if column != "split":
        assert arranged(images("img") | {"t.csv": text.replace("test", "Berlin")})[1] == {None}


def test_tables_of_parts_are_read_together() -> None:
    rows = table("file,label", "{number}.jpg,{label}").splitlines()
    parts = {"a.csv": "\n".join(rows[:5]), "b.csv": "\n".join([rows[0], *rows[5:]])}

    assert sum(arranged(images("img") | parts)[0].values()) == 12


def test_tables_that_contradict_each_other_are_refused() -> None:
    tables = dict.fromkeys(["a.csv", "b.csv"], table("file,label", "{number},{label}"))

    with pytest.raises(BadDataset, match=r"a.csv and b.csv each label the images; name the one to use manifest.csv"):
        arranged(images("img") | tables)


def test_the_name_of_a_table_says_which_folder_its_ids_mean() -> None:
    files = images("train") | images("test") | {"trainLabels.csv": table("id,label", "{number},{label}")}
    files["sampleSubmission.csv"] = table("id,label", "{number},nv")

    assert sum(arranged(files)[0].values()) == 12


def test_each_split_may_have_a_table_in_a_folder_of_its_own() -> None:
    files = {}
    for split, numbers in (("Training", range(6)), ("Validation", range(6, 9)), ("Test", range(9, 12))):
        rows = "".join(f"{number},{number % 2}.0,{(number + 1) % 2}.0\n" for number in numbers)
        files |= images(f"ISIC_{split}_Input", numbers)
        files[f"ISIC_{split}_GroundTruth/ISIC_{split}_GroundTruth.csv"] = f"image,MEL,NV\n{rows}"

    assert arranged(files)[:2] == ({"MEL": 6, "NV": 6}, {TRAIN, VAL, TEST})
