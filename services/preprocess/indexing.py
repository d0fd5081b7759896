"""The handler of index jobs: matches the images of a dataset version with the files of its upload."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from contract.datasets import NO_INDEX, DatasetManifest, DatasetWarning, Split
from contract.errors import BadArchive, BadDataset, Corrupt, NotFound
from contract.kinds.index import DatasetIndex, IndexSpec
from contract.kinds.preprocess import PreprocessSpec
from contract.references import Reference, UploadSource
from media.archives.archive import Archive
from media.archives.limits import Limits
from media.archives.rejections import Rejections
from media.archives.unpacking import unpacked
from media.hashes import perceptual_hashes
from media.image_index import PLACE, SCHEMA, IndexWriter
from services.preprocess.blocks import decoded_blocks
from services.preprocess.index import summary_of
from services.preprocess.layout import arrange
from services.preprocess.matching import ShardRow, ShardRows, pixel_digest
from services.preprocess.warnings import Warnings, plural
from worker.members import Members, with_places
from worker.originals import Originals
from worker.task import Task

_GONE = DatasetWarning(
    code=NO_INDEX,
    message="the version has no index of images, because the archive that was uploaded for it is gone",
    count=1,
    examples=(),
    advice="Upload the archive again as a new version.",
)


def index_dataset(task: Task) -> DatasetIndex:
    """Give a dataset version an index, without a change to its shards.

    The file of an image is the one that decodes to the same pixels with the version's image spec. Equal images are told
    apart by the class that the archive gives them, then taken in the order of their paths. An image whose file is not
    found has no row. Without the upload, the outcome is a warning.
    """
    reference, manifest = task.datasets.manifest(Reference.parse(IndexSpec.model_validate(task.job.spec).dataset))
    upload = task.folder / "upload"
    try:
        spec = task.datasets.preprocess_spec(reference)
        if not isinstance(spec.source, UploadSource):
            raise NotFound("there is no upload")
        task.objects.fetch(task.uploads.ref(spec.source.upload), upload)
        archive = unpacked(upload, task.folder / "upload.tar", Limits())
        members, labels = _members(archive, spec)
    except (NotFound, Corrupt, BadArchive):
        total = sum(shard.count for shards in manifest.shards.values() for shard in shards)
        task.log(_GONE.message)
        return DatasetIndex(index=None, data_sha256=None, indexed=0, missing=total, warnings=(_GONE,))
    shards = _shards(task, manifest)
    table = _matched(task, manifest, members, labels, shards)
    if archive != upload:
        table = _without_places(table)
    return _outcome(task, table, shards.left)


def _members(archive: Path, spec: PreprocessSpec) -> tuple[Members, list[str | None]]:
    """Return all files of an archive in its order, and the class of each, if its layout gives one."""
    with Archive(archive, Limits(), Rejections(), spec.layout.encoding) as opened:
        labels = _labels(opened, spec)
        names = sorted(opened.names, key=lambda name: opened.place(name).start)
        stored = [opened.member(name) for name in names]
        rows = with_places(pa.table({"path": names, "member": stored}), [opened.place(name) for name in names])
    return Members.of_file(rows, archive, Limits()), [labels.get(name) for name in rows["path"].to_pylist()]


def _labels(archive: Archive, spec: PreprocessSpec) -> dict[str, str]:
    """Return the class of each file; none if this release would refuse the layout."""
    try:
        images = arrange(archive.names, archive.read, archive.limits, Rejections())
    except BadDataset:
        return {}
    return {image.name: image.label for image in images}


def _shards(task: Task, manifest: DatasetManifest) -> ShardRows:
    rows = ShardRows(manifest.classes)
    images, labels = task.folder / "images.npy", task.folder / "labels.npy"
    for split in Split:
        for number, shard in enumerate(manifest.shards.get(split, ())):
            task.report(0.0, "reading the prepared images")
            task.objects.fetch(shard.images, images)
            task.objects.fetch(shard.labels, labels)
            rows.add(split, number, images, labels)
    return rows


def _matched(
    task: Task, manifest: DatasetManifest, members: Members, labels: list[str | None], shards: ShardRows
) -> pa.Table:
    """Decode all files and return the index of those that match."""
    originals = Originals(members)
    facts: dict[int, tuple[bytes, dict[str, Any]]] = {}
    for first, block in decoded_blocks(originals, manifest.image, task.report):
        good = {number: image for number, image in enumerate(block, start=first) if not isinstance(image, str)}
        if good:
            averages, differences = perceptual_hashes(np.stack([image.pixels for image in good.values()]))
        for position, (number, image) in enumerate(good.items()):
            hashes = {"average_hash": int(averages[position]), "difference_hash": int(differences[position])}
            size = {"width": image.width, "height": image.height}
            facts[number] = (pixel_digest(image.pixels), size | hashes)
    rows: list[tuple[ShardRow, int]] = []
    for number in sorted(facts, key=originals.paths.__getitem__):
        if row := shards.take(facts[number][0], labels[number]):
            rows.append((row, number))
    rows.sort(key=lambda pair: (list(Split).index(pair[0].split), pair[0].shard, pair[0].row))
    numbers = np.array([number for _, number in rows], np.int64)
    columns = [
        {"split": row.split.value, "label": row.label, "shard": row.shard, "row": row.row} | facts[number][1]
        for row, number in rows
    ]
    chosen = members.rows.take(pa.array(numbers))
    names = ("split", "label", "shard", "row", "width", "height", "average_hash", "difference_hash")
    schema = pa.schema([SCHEMA.field(name) for name in names])
    table = pa.Table.from_pylist(columns, schema) if columns else schema.empty_table()
    for name in ("path", "member", *PLACE.names):
        table = table.append_column(name, chosen[name])
    return table.append_column("sha256", originals.digests(numbers))


def _without_places(table: pa.Table) -> pa.Table:
    """Return the rows of a compressed tar, whose members cannot be read alone."""
    for field in PLACE:
        table = table.set_column(table.schema.get_field_index(field.name), field, pa.nulls(len(table), field.type))
    return table


def _outcome(task: Task, table: pa.Table, missing: int) -> DatasetIndex:
    warnings = Warnings()
    if missing:
        message = f"the files of {plural(missing, 'image')} were not found in the upload, so the index lacks them"
        task.log(message)
        warnings.add("incomplete_index", message, (), "Upload the archive again as a new version.", missing)
    path = task.folder / "index.parquet"
    with IndexWriter(path) as writer:
        writer.add(table)
    data_sha256, duplicates = summary_of(path)
    warnings.merge(duplicates)
    return DatasetIndex(
        index=task.put(path.name, path),
        data_sha256=None if missing else data_sha256,
        indexed=len(table),
        missing=missing,
        warnings=warnings.all,
    )
