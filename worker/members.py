"""Divides the members of a stored archive into parts: each has its rows of the plan and the byte ranges it needs."""

import hashlib
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Protocol, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import TypeAdapter

from contract.artifacts import ByteRange, ObjectRef
from contract.base import Frozen
from contract.division import Division
from contract.tracing import traced
from media.archives.limits import MIB, Limits
from media.archives.places import PLAIN, Place, read_member
from media.image_index import PLACE
from worker.task import Task
from worker.windows import ByteSource, LocalFile, RemoteWindows, Span, hashed, windows_of

PART_BYTES = 128 * MIB  # of an archive, in one part
_WINDOWS = TypeAdapter(tuple[ByteRange, ...])


class MembersPart(Frozen):
    """The spec of a part: its rows are a range of the object `rows`; `plan` is what all parts share."""

    plan: ObjectRef
    rows: ObjectRef
    span: ByteRange
    archive: ObjectRef | None


def nowhere(archive: Path) -> Place:
    """Return the place of an item without a member, which is planned after all others."""
    end = archive.stat().st_size
    return Place(end, end, PLAIN, 0, 0, 0)


def with_places(rows: pa.Table, places: Sequence[Place] | NDArray[np.int64]) -> pa.Table:
    """Return the rows with where their members lie, in the order of the archive; `places` may be their fields."""
    columns = np.asarray(places, np.int64).reshape(-1, len(PLACE))
    for number, field in enumerate(PLACE):
        values = columns[:, number]
        if field.type == pa.int16():  # a method of two bytes without a sign; no method so large is supported
            values = values.clip(max=np.iinfo(np.int16).max)
        rows = rows.append_column(field, pa.array(values.astype(field.type.to_pandas_dtype())))
    order = np.argsort(columns[:, 0], kind="stable")
    return rows if (order == np.arange(len(order))).all() else rows.take(pa.array(order))


class Readable(Protocol):
    """Rows of a plan, whose contents are read in order."""

    rows: pa.Table
    limits: Limits

    def __len__(self) -> int: ...

    def read(self, number: int) -> bytes:
        """Return the contents of a row; raises BadImage if it is rejected."""


class Members:
    """Rows of a plan, whose members are read in order."""

    def __init__(self, rows: pa.Table, source: ByteSource, limits: Limits) -> None:
        self.rows = rows
        self.limits = limits
        self._source = source
        columns = (rows[name].to_pylist() for name in PLACE.names)
        self._places = list(map(Place._make, zip(*columns, strict=True)))

    @classmethod
    def of_file(cls, rows: pa.Table, archive: Path, limits: Limits) -> Self:
        """Return the members of an archive on disk."""
        return cls(rows, LocalFile(archive), limits)

    @classmethod
    def of_part(cls, task: Task, part: MembersPart, limits: Limits, rows: pa.Table | None = None) -> Self:
        """Return some rows of a part, or fetch all of them; its members are fetched when they are read."""
        rows, archive = rows_of(task, part) if rows is None else rows, part.archive
        assert archive is not None  # noqa: S101  `divided` had a reference
        windows = _WINDOWS.validate_json((rows.schema.metadata or {})[b"windows"])
        return cls(rows, RemoteWindows(windows, lambda window: task.objects.read_range(archive, window)), limits)

    def __len__(self) -> int:
        return len(self._places)

    def read(self, number: int) -> bytes:
        """Return the contents of a member; raises BadImage if it is rejected."""
        place = self._places[number]
        return read_member(self._source.read(place.start, place.stop), place, self.limits)


def rows_of(task: Task, part: MembersPart) -> pa.Table:
    """Fetch the rows of a part."""
    with pa.ipc.open_stream(task.objects.read_range(part.rows, part.span)) as stream:
        return stream.read_all()


@traced("divide")
def divided(task: Task, plan: bytes, rows: pa.Table, archive: Path, reference: ObjectRef | None, most: int) -> Division:
    """Store the plan, and divide the rows, in order, into parts of at most `most` items and about PART_BYTES.

    `archive` is the file that `reference` refers to; neither is used for members that lie elsewhere, whose places have
    no bytes. Results must not depend on the size of the parts.
    """
    file = task.folder / "plan.rows"
    spans: list[ByteRange] = []
    edges = _edges(rows, most)
    with file.open("wb") as out:
        for number, (start, stop) in enumerate(pairwise(edges)):
            task.report(number / len(edges), "dividing the work into parts")
            data = _serialized(rows.slice(start, stop - start), archive)
            spans.append(
                ByteRange(start=out.tell(), stop=out.tell() + len(data), sha256=hashlib.sha256(data).hexdigest())
            )
            out.write(data)
    stored = {"plan": task.put("plan.json", plan), "rows": task.put(file.name, file), "archive": reference}
    parts = (MembersPart(**stored, span=span) for span in spans)
    return Division(parts=tuple(part.model_dump(mode="json") for part in parts))


def _edges(rows: pa.Table, most: int) -> list[int]:
    """Return the numbers of the rows between which to divide, so that the parts are about equally large."""
    sizes = rows["packed"].to_numpy() / PART_BYTES
    weights = np.maximum(sizes, 1 / most).cumsum()
    parts = max(-(-len(rows) // most), int(np.ceil(weights[-1] - 1e-6)))
    shares = weights[-1] * np.arange(1, parts) / parts
    edges = sorted({0, *np.searchsorted(weights, shares + 1e-6, side="right").tolist(), len(rows)})
    # A large member at the start of a part can leave room for one row too many.
    return sorted({*edges, *(start + most for start, stop in pairwise(edges) if stop - start > most)})


def _serialized(rows: pa.Table, archive: Path) -> bytes:
    """Return rows, with the windows of the archive that they need, as an Arrow stream."""
    spans = [Span(*span) for span in zip(rows["start"].to_pylist(), rows["stop"].to_pylist(), strict=True)]
    windows = tuple(hashed(archive, window) for window in windows_of(spans))
    rows = rows.replace_schema_metadata({"windows": _WINDOWS.dump_json(windows)})
    out = pa.BufferOutputStream()
    with pa.ipc.new_stream(out, rows.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as stream:
        stream.write_table(rows.combine_chunks())
    return bytes(out.getvalue().to_pybytes())
