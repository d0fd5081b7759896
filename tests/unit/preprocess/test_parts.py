"""Merged parts equal the dataset of an archive that is prepared as a whole."""

import numpy as np
import pytest

from contract.datasets import Split
from contract.errors import BadArchive, BadDataset
from media.archives.limits import Limits
from tests.support.images import Files, class_folders
from tests.support.preparation import Load, Prepare


@pytest.mark.parametrize("most", [1, 7, 20])
def test_parts_make_the_same_dataset(prepared: Prepare, loaded: Load, most: int) -> None:
    # given splits by folders, bad files in all of them, and files that the layout leaves out
    bad = {"cat/a.png": b"text", "dog/b.png": b"", "dog/inner.zip": b"PK", "readme.txt": b"hello"}
    files = {f"{split}/{name}": data for split in ("train", "test") for name, data in bad.items()}
    files |= class_folders(under="train/", count=9) | class_folders(under="test/", count=4)

    # when they are prepared as a whole and in parts
    whole, parts = prepared(files), prepared(files, most=most)

    # then only the shard boundaries differ
    differing = {"shards", "index"}
    assert parts.model_dump(exclude=differing) == whole.model_dump(exclude=differing)
    assert len(parts.shards[Split.TRAIN]) > len(whole.shards[Split.TRAIN]) == 1
    for split in Split:
        for one, other in zip(loaded(whole, split), loaded(parts, split), strict=True):
            assert np.array_equal(one, other)


@pytest.mark.parametrize(
    "files",
    [
        pytest.param({"cat/1.png": b"", "dog/1.png": b"text"}, id="no image"),
        pytest.param(class_folders() | {"owl/1.png": b"", "cat/a.png": b""}, id="empty class"),
    ],
)
def test_parts_report_the_same_error(prepared: Prepare, files: Files) -> None:
    with pytest.raises(BadDataset) as whole:
        prepared(files)
    with pytest.raises(BadDataset) as parts:
        prepared(files, most=1)

    assert parts.value.message == whole.value.message


def test_the_size_limit_applies_to_all_parts_together(prepared: Prepare) -> None:
    files = class_folders()
    inflated = sum(map(len, files.values()))

    prepared(files, limits=Limits(total_bytes=inflated), most=3)
    with pytest.raises(BadArchive, match=f"inflates to over {inflated - 1} bytes"):
        prepared(files, limits=Limits(total_bytes=inflated - 1), most=3)
