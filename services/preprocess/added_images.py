"""Prepares the images that a revision adds: one zip with their originals, their splits, and their shards."""

import hashlib
import zipfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from contract.datasets import DatasetManifest, Split, TestSplit
from media.archives.archive import Archive
from media.archives.limits import Limits
from media.archives.rejections import Rejections
from services.preprocess.image_files import SPLITS
from services.preprocess.parts import PreparedPart, Store
from services.preprocess.pipeline import prepare
from services.preprocess.plan import PlanHead
from services.preprocess.revision_changes import Addition
from services.preprocess.split import largest_remainder
from worker.members import Members, with_places
from worker.task import Task

_EXTENSIONS = ((b"\xff\xd8\xff", "jpg"), (b"\x89PNG", "png"), (b"RIFF", "webp"))


def pack(task: Task, additions: Sequence[Addition], path: Path) -> list[Addition]:
    """Write a zip of the files; return the additions with names that have an extension. One file is in memory."""
    packed = []
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for number, addition in enumerate(additions):
            task.report(0.2 * number / len(additions), "collecting the added images")
            file = task.objects.read(addition.file)
            extension = next((name for start, name in _EXTENSIONS if file.startswith(start)), "img")
            packed.append(replace(addition, name=f"{addition.name}.{extension}"))
            archive.writestr(packed[-1].name, file)
    return packed


def prepared(
    task: Task,
    manifest: DatasetManifest,
    classes: Sequence[str],
    additions: Sequence[Addition],
    splits: Mapping[str, Split],
    path: Path,
    store: Store,
) -> PreparedPart:
    """Prepare the images of the zip like those of the version; `splits` are by name."""
    labels = {addition.name: addition.label for addition in additions}
    numbers = {label: number for number, label in enumerate(classes)}
    with Archive(path, Limits(), Rejections()) as archive:
        names = [name for name in archive.names if name in labels]
        columns = {
            "path": pa.array(names, pa.string()),
            "member": pa.array([archive.member(name) for name in names], pa.string()),
            "label": np.array([numbers[labels[name]] for name in names], np.int32),
            "split": np.array([SPLITS.index(splits[name]) for name in names], np.int8),
        }
        rows = with_places(pa.table(columns), archive.places(names))
    grey = any(choice.what == "image.mode" and choice.value == "L" for choice in manifest.decisions)
    head = PlanHead(
        classes=tuple(classes),
        image=manifest.image,
        check_grey=grey,
        strict=False,
        places=True,
        decisions=(),
        warnings=(),
        rejected=0,
        rejected_files=(),
        inflated=0,
    )
    members = Members.of_file(rows, path, Limits())
    return prepare(head, members, task.folder, store, lambda share, text: task.report(0.3 + 0.4 * share, text))


def splits_of(
    additions: Sequence[Addition], counts: Mapping[Split, Mapping[str, int]], test_split: TestSplit
) -> dict[str, Split]:
    """Return the split of each added image by its name, in the ratio of the version's splits within each class.

    A class fills the splits in which it has too few images, with `counts`, first. None is added to a frozen test split.
    The order is that of SHA-256 over the hash of the file, so the same images get the same splits.
    """
    splits = [split for split in Split if split is not Split.TEST or test_split == "open"]
    totals = [sum(counts[split].values()) for split in splits]
    shares = [total / max(sum(totals), 1) for total in totals]
    by_class: dict[str, list[Addition]] = defaultdict(list)
    for addition in sorted(additions, key=lambda one: hashlib.sha256(one.file.sha256.encode()).digest()):
        by_class[addition.label].append(addition)
    chosen: dict[str, Split] = {}
    for label, images in by_class.items():
        present = [counts[split].get(label, 0) for split in splits]
        targets = largest_remainder(sum(present) + len(images), shares)
        if not present[0] and not targets[0]:
            targets[0] = 1  # a class needs a training image
        missing = [target - count for target, count in zip(targets, present, strict=True)]
        for image in images:
            most = missing.index(max(missing))
            missing[most] -= 1
            chosen[image.name] = splits[most]
    return chosen
