"""What a file with labels changes in a dataset version: finds the images that its rows name."""

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from urllib.parse import parse_qs, unquote, urlsplit

from contract.errors import BadDataset
from contract.labels import label_fault, normalised_label
from media.archives.rejections import shown
from media.file_names import COLUMNS, FileNames
from media.image_index import read_index
from services.preprocess.label_files import LabelRow, read_labels
from services.preprocess.revision_changes import Changes
from worker.task import Task

_UPLOADED = re.compile(r"^[0-9a-f]{8}-")  # which Label Studio puts before the name of an uploaded file
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
_EXAMPLES = 3


def add_labels(task: Task, upload: str, index: Path, changes: Changes) -> None:
    """Add the labels of an uploaded file; the later row counts if an image is named twice.

    Rows whose image is not in the index, or whose label is not one class, are counted. Raise BadDataset if the file is
    in no known format, or none of its rows can be used.
    """
    path = task.folder / "labels"
    task.objects.fetch(task.uploads.ref(upload), path)
    images = _Images(index)
    used, unmatched = 0, list[str]()
    for row in read_labels(path):
        if row.label == "":  # not labelled
            continue
        sha256 = images.found(row)
        label = normalised_label(row.label or "")
        if sha256 is None or label_fault(label):
            unmatched.append(_shown(row, "unknown image" if sha256 is None else "not one usable label"))
        else:
            changes.set(sha256, label)
            used += 1
    path.unlink()
    changes.unmatched += len(unmatched)
    first = ", ".join(unmatched[:_EXAMPLES])
    if not used:
        raise BadDataset(f"no row of the file of labels can be used{': ' + first if first else ''}")
    if unmatched:
        task.log(f"{len(unmatched)} rows of the file of labels were not used: {first}")


class _Images:
    """The hashes of the images of an index, by the names that they may have."""

    def __init__(self, index: Path) -> None:
        table = read_index(index, ["sha256", *COLUMNS])
        hashes = [digest.hex() for digest in table["sha256"].to_pylist()]
        self._hashes = frozenset(hashes)
        self._names: dict[str, str | None] = {}  # None for a name of several images
        for sha256, path, file in zip(hashes, table["path"].to_pylist(), FileNames(index).all(table), strict=True):
            for name in {path, file, PurePosixPath(path).name, PurePosixPath(file).name}:
                known = self._names.setdefault(name, sha256)
                if known != sha256:
                    self._names[name] = None

    def found(self, row: LabelRow) -> str | None:
        """Return the hash of the image that a row names, None if there is none, or several."""
        if row.sha256 is not None and _SHA256.fullmatch(row.sha256):
            return row.sha256.lower() if row.sha256.lower() in self._hashes else None
        return next((sha256 for name in row.names for sha256 in self._by_name(name) if sha256), None)

    def _by_name(self, name: str) -> Iterator[str | None]:
        """Yield the image of a name, then of its ends, the longest first."""
        for candidate in candidates(name):
            if candidate in self._names:
                yield self._names[candidate]
                return


def candidates(name: str) -> Iterator[str]:
    """Yield a path or address without its first folders, one after another."""
    text = name.replace("\\", "/")
    try:
        address = urlsplit(text)
    except ValueError:  # no address, although it looks like one
        address = urlsplit("")
    local = parse_qs(address.query).get("d", [])  # /data/local-files/?d=path
    plain = [] if address.scheme or address.query else [text]
    for path in dict.fromkeys([*local, *plain, unquote(address.path)]):
        parts = [part for part in path.split("/") if part]
        for first in range(len(parts)):
            yield "/".join(parts[first:])
        if parts and _UPLOADED.match(parts[-1]):
            yield parts[-1][9:]


def _shown(row: LabelRow, reason: str) -> str:
    return f"{shown((row.sha256 or next(iter(row.names), 'a row without a name'))[:80])} ({reason})"
