"""What a file with labels changes in a dataset version: finds the images that its rows name."""

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

import pyarrow as pa

from contract.errors import BadDataset
from contract.labels import label_fault, normalised_label
from media.archives.rejections import shown
from media.file_names import FileNames
from services.preprocess.label_files import LabelRow, read_labels, require_size
from services.preprocess.revision_changes import Changes
from worker.task import Task

_UPLOADED = re.compile(r"^[0-9a-f]{8}-")  # which Label Studio puts before the name of an uploaded file
_UPLOAD = re.compile(r"(?:(?:^|.*/)data/|^)upload/(?:\d+/)?[^/]+")  # the path of a file that was uploaded there
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
_EXAMPLES = 3


def add_labels(task: Task, upload: str, index: pa.Table, changes: Changes) -> None:
    """Add the labels of an uploaded file; the later row counts if an image is named twice.

    Rows whose image is not in the index, or whose label is not one class, are counted. Raise BadDataset if the file is
    in no known format, or none of its rows can be used.
    """
    path, file = task.folder / "labels", task.uploads.ref(upload)
    require_size(file.size)
    task.objects.fetch(file, path)
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


class _Base(NamedTuple):
    """An image, by a name of a file without folders that only it has, with its paths."""

    sha256: str
    paths: tuple[str, ...]


class _Images:
    """The hashes of the images of an index, by the names that they may have: paths, or names of files.

    A path counts if an image has it, or if its folders agree with those of the only image with that name of a file:
    `cat/1.png` is not `dog/1.png`, but may be `pets/cat/1.png`. Files that were uploaded to Label Studio have no
    folders.
    """

    def __init__(self, index: pa.Table) -> None:
        hashes = [digest.hex() for digest in index["sha256"].to_pylist()]
        self._hashes = frozenset(hashes)
        self._names: dict[str, str | None] = {}  # None for a name of several images
        self._bases: dict[str, _Base | None] = {}
        for sha256, path, file in zip(hashes, index["path"].to_pylist(), FileNames(index).all(index), strict=True):
            for name in {path, file}:
                if self._names.setdefault(name, sha256) != sha256:
                    self._names[name] = None
            for name in {PurePosixPath(path).name, PurePosixPath(file).name}:
                known = self._bases.setdefault(name, _Base(sha256, (path, file)))
                if known is not None and known.sha256 != sha256:
                    self._bases[name] = None

    def found(self, row: LabelRow) -> str | None:
        """Return the hash of the image that a row names, None if there is none, or several."""
        if row.sha256 is not None and _SHA256.fullmatch(row.sha256):
            return row.sha256.lower() if row.sha256.lower() in self._hashes else None
        return next((sha256 for name in row.names for sha256 in self._by_name(name) if sha256), None)

    def _by_name(self, name: str) -> Iterator[str | None]:
        """Yield the image of a name, or of one of its ends, the longest first."""
        for candidate in candidates(name):
            if candidate in self._names:
                yield self._names[candidate]
                return
        for path in _paths(name):
            yield self._by_base(path)

    def _by_base(self, path: str) -> str | None:
        base = path.rpartition("/")[2]
        uploaded = _UPLOAD.fullmatch(path) is not None
        if (image := self._bases.get(base)) is not None:
            agrees = any(_is_end(path, known) or _is_end(known, path) for known in image.paths)
            return image.sha256 if uploaded or agrees else None
        if (uploaded or "/" not in path) and _UPLOADED.match(base):
            return image.sha256 if (image := self._bases.get(base[9:])) is not None else None
        return None


def _is_end(end: str, path: str) -> bool:
    return f"/{path}".endswith(f"/{end}")


def candidates(name: str) -> Iterator[str]:
    """Yield a path or address without its first folders, one after another."""
    for path in _paths(name):
        parts = path.split("/")
        for first in range(len(parts)):
            yield "/".join(parts[first:])


def _paths(name: str) -> Iterator[str]:
    """Yield the paths that a name or address may stand for."""
    text = name.replace("\\", "/")
    try:  # "#" is a character of the key of an object
        address = urlsplit(text, allow_fragments=text.lower().startswith("http"))
    except ValueError:  # looks like an address, but is not one
        address = urlsplit("")
    local = parse_qs(address.query).get("d", [])  # /data/local-files/?d=path
    plain = [] if address.scheme or address.query else [text]
    for path in dict.fromkeys([*local, *plain, unquote(address.path)]):
        if parts := [part for part in path.split("/") if part]:
            yield "/".join(parts)


def _shown(row: LabelRow, reason: str) -> str:
    return f"{shown((row.sha256 or next(iter(row.names), 'a row without a name'))[:80])} ({reason})"
