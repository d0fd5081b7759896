"""The originals of a dataset's images: their names and hashes, and where they lie in the upload or bucket."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from contract.artifacts import ObjectRef
from contract.datasets import DatasetManifest, OriginalFiles, Split
from contract.division import Division
from contract.errors import Invalid, NotFound
from contract.image_index import MEMBER, SOURCE
from contract.references import Reference, S3Source
from media.archives.archive import Archive
from media.archives.limits import Limits
from media.archives.places import PLAIN, Place
from media.archives.rejections import Rejections
from media.archives.unpacking import unpacked
from media.image_index import PLACE, read_index
from services.inference.judging.evaluation import Evaluation
from services.inference.judging.images import OriginalImages
from services.storage.sources import SourcePrefix
from worker.members import Members, MembersPart, Readable, divided, rows_of, with_places
from worker.read_ahead import ReadAhead
from worker.task import Task


@dataclass(frozen=True)
class Originals:
    """The names and the hashes of a split's originals, by number of the image; None for one that the index lacks."""

    paths: tuple[str | None, ...]
    hashes: tuple[str | None, ...]


def originals(task: Task, dataset: DatasetManifest, split: Split) -> Originals | None:
    """Fetch the index of a split; None if the version has none."""
    if dataset.index is None:
        return None
    rows = _index(task, dataset.index, split, ["path", "sha256", "shard", "row"])
    count = sum(shard.count for shard in dataset.shards[split])
    paths: list[str | None] = [None] * count
    hashes: list[str | None] = [None] * count
    columns = (rows[name].to_pylist() for name in ("path", "sha256"))
    for number, path, digest in zip(_numbers(dataset, split, rows), *columns, strict=True):
        paths[number], hashes[number] = path, digest.hex()
    return Originals(tuple(paths), tuple(hashes))


def training_images(task: Task, reference: str | None, index: Originals | None) -> int | None:
    """Count the images of an index that are in the training split of a dataset version; None if that is not known."""
    if reference is None or index is None:
        return None
    try:
        _, dataset = task.datasets.manifest(Reference.parse(reference))
    except NotFound:
        return None
    if dataset.index is None:
        return None
    known = {value.hex() for value in _index(task, dataset.index, Split.TRAIN, ["sha256"])["sha256"].to_pylist()}
    return sum(value in known for value in index.hashes)


def plan_originals(task: Task, job: Evaluation, most: int) -> Division | OriginalImages:
    """Find the originals of the job's images, and divide them into parts if there are more than `most`.

    The archive is fetched; each part then fetches only its bytes of it. Objects of a bucket are read one by one. If the
    images lie in several of them, their originals are gathered in one file first.
    """
    rows, files = _rows(task, job), task.datasets.originals(job.reference)
    numbers = pc.unique(rows[SOURCE]).to_pylist()
    first = files[numbers[0]]
    if len(numbers) > 1:
        archive, rows = _gathered(task, files, rows)
        return _planned(task, rows, archive, None, most)
    if isinstance(first.source, S3Source):
        rows = _without_places(rows)
        if len(rows) > most:
            return divided(task, b"{}", rows, task.folder, None, most)
        return OriginalImages(rows, partial(_objects, first.source))
    upload = task.uploads.ref(first.source.upload)
    file = task.folder / "upload"
    archive, rows = _in_archive(task, upload, file, rows, first.encoding)
    rows = rows.drop_columns([MEMBER, "sha256"])
    return _planned(task, rows, archive, upload if archive == file else None, most)


def _planned(
    task: Task, rows: pa.Table, archive: Path, reference: ObjectRef | None, most: int
) -> Division | OriginalImages:
    """Return the images of a file, or parts of it; the file is stored for them if it has no reference."""
    rows = rows.sort_by("start")
    if len(rows) > most:
        return divided(task, b"{}", rows, archive, reference or task.put(archive.name, archive), most)
    return OriginalImages(rows, lambda rows: Members.of_file(rows, archive, Limits()))


def _in_archive(
    task: Task, upload: ObjectRef, file: Path, rows: pa.Table, encoding: str | None
) -> tuple[Path, pa.Table]:
    """Fetch an upload to a file; return the archive, unpacked if it was compressed, and the rows with their places."""
    task.objects.fetch(upload, file)
    archive = unpacked(file, file.with_name(f"{file.name}.tar"), Limits())
    if rows["start"].null_count:
        rows = _with_places(rows.drop_columns(PLACE.names), archive, encoding)
    return archive, rows


def _gathered(task: Task, files: Sequence[OriginalFiles], rows: pa.Table) -> tuple[Path, pa.Table]:
    """Copy the originals of rows, from wherever they lie, to one file; return it and the rows with their places."""
    target, tables = task.folder / "originals", []
    with target.open("wb") as out:
        for number in pc.unique(rows[SOURCE]).to_pylist():
            source, own = files[number].source, rows.filter(pc.equal(rows[SOURCE], number))
            file = task.folder / "upload"
            if isinstance(source, S3Source):
                own = _without_places(own)
                members: Readable = _objects(source, own)
            else:
                archive, own = _in_archive(task, task.uploads.ref(source.upload), file, own, files[number].encoding)
                members = Members.of_file(own, archive, Limits())
            places = []
            for row in range(len(own)):
                task.report(0.0, "gathering the originals")
                start, data = out.tell(), members.read(row)
                out.write(data)
                places.append(Place(start, out.tell(), PLAIN, len(data), len(data), 0))
            tables.append(with_places(own.drop_columns([MEMBER, "sha256", *PLACE.names]), places))
            file.unlink(missing_ok=True)
    return target, pa.concat_tables(tables)


def part_of_originals(task: Task, job: Evaluation, part: MembersPart) -> OriginalImages:
    rows, source = rows_of(task, part), task.datasets.originals(job.reference)[0].source
    if part.archive is None and isinstance(source, S3Source):
        return OriginalImages(rows, partial(_objects, source))
    return OriginalImages(rows, lambda rows: Members.of_part(task, part, Limits(), rows))


def _objects(source: S3Source, rows: pa.Table) -> ReadAhead:
    """Return the objects of rows; reading one that was changed or deleted raises Conflict."""
    prefix = SourcePrefix.from_environment(source)
    keys, hashes = rows[MEMBER].to_pylist(), rows["sha256"].to_pylist()

    def fetch(number: int) -> bytes:
        return prefix.read_original(keys[number], hashes[number].hex(), Limits().member_bytes)

    return ReadAhead(rows, fetch, Limits())


def _rows(task: Task, job: Evaluation) -> pa.Table:
    """Return the split, the number, the hash, the name and the place of the original of each of the job's images."""
    index = job.dataset.index
    if index is None:  # the spec was checked
        raise Invalid(f"the dataset {job.reference} has no index of its images; upload its archive as a new version")
    tables = []
    for split in job.splits:
        rows = _index(task, index, split, [MEMBER, SOURCE, "sha256", "shard", "row", *PLACE.names])
        numbers = pa.array(_numbers(job.dataset, split, rows), pa.int64())
        rows = rows.append_column("split", pa.array([split.value] * len(rows), pa.string()))
        tables.append(rows.append_column("number", numbers).drop_columns(["shard", "row"]))
    return pa.concat_tables(tables)


def _without_places(rows: pa.Table) -> pa.Table:
    """Return rows of objects in the order of their keys, with places of no bytes, which `divided` needs."""
    rows = rows.drop_columns(PLACE.names).sort_by(MEMBER)
    return with_places(rows, [Place(number, number, PLAIN, 0, 0, 0) for number in range(len(rows))])


def _numbers(dataset: DatasetManifest, split: Split, rows: pa.Table) -> list[int]:
    """Return the numbers of indexed images in their split."""
    starts = np.cumsum([0, *(shard.count for shard in dataset.shards[split])])
    numbers: list[int] = (starts[rows["shard"].to_numpy()] + rows["row"].to_numpy()).tolist()
    return numbers


def _with_places(rows: pa.Table, path: Path, encoding: str | None) -> pa.Table:
    """Add the places of members of a tar that was compressed."""
    with Archive(path, Limits(), Rejections(), encoding) as archive:
        places = {archive.member(name): archive.place(name) for name in archive.names}
    members = rows[MEMBER].to_pylist()
    if not places.keys() >= set(members):
        raise Invalid("the archive does not hold the images of the dataset; upload it as a new version")
    return with_places(rows, [places[member] for member in members])


def _index(task: Task, index: ObjectRef, split: Split, columns: list[str]) -> pa.Table:
    file = task.folder / f"index-{index.sha256}.parquet"
    if not file.exists():
        task.objects.fetch(index, file)
    return read_index(file, columns, split)
