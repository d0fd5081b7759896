"""Turn planned images into prepared parts of a dataset. Does not depend on jobs, the database or the object store."""

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.ma  # pyarrow imports it with its first array; imported by the fork server, it takes no time in a part
import pyarrow as pa
from numpy.typing import NDArray
from PIL import Image
from prometheus_client import Counter

from contract.datasets import Shard, Split, Thumbnail
from contract.tracing import traced
from media.archives.rejections import Rejections
from media.hashes import perceptual_hashes
from media.image_index import PLACE, SCHEMA, IndexWriter
from media.images import DecodedImage
from services.preprocess.blocks import OnStep, decoded_blocks
from services.preprocess.image_files import SPLITS
from services.preprocess.parts import Files, PreparedPart, Store
from services.preprocess.plan import PlanHead
from services.preprocess.sampling import coloured
from services.preprocess.shards import ShardFile, ShardWriter
from services.preprocess.statistics import Moments
from worker.members import Readable
from worker.originals import Originals

IMAGES = Counter("tidepool_preprocess_images_total", "Images that were decoded and measured, or rejected.", ["outcome"])

MOST_THUMBNAILS = 20
MAX_THUMBNAIL_SIDE = 64
_LUMA = np.array([19595, 38470, 7471], np.uint32)  # ITU-R 601-2 in 1/65536, as Pillow's


@traced("prepare images")
def prepare(head: PlanHead, members: Readable, folder: Path, store: Store, on_step: OnStep) -> PreparedPart:
    """Decode and measure planned images in order, write their shards and index to `folder` and `store` them.

    Unusable files are skipped and listed. Raise BadArchive if the archive is unusable. `on_step(fraction, message)` is
    called about every 0.2 s; its exceptions pass through.
    """
    part = _Part(head, members, folder)
    originals = Originals(members)
    spec = head.image.model_copy(update={"mode": "RGB"}) if head.check_grey else head.image
    for first, block in decoded_blocks(originals, spec, on_step, strict=head.strict):
        part.add(first, block)
    return part.finish(originals, store)


def data_uri(pixels: np.ndarray) -> str:
    """Encode uint8 (1 or 3 channels, height, width) as a PNG data URI of at most MAX_THUMBNAIL_SIDE pixels a side."""
    image = Image.fromarray(pixels[0] if len(pixels) == 1 else np.ascontiguousarray(pixels.transpose(1, 2, 0)))
    image.thumbnail((MAX_THUMBNAIL_SIDE, MAX_THUMBNAIL_SIDE))
    file = io.BytesIO()
    image.save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


class _Part:
    """Writes shards, and gathers the index and what else is known of the images of a part, block by block."""

    def __init__(self, head: PlanHead, members: Readable, folder: Path) -> None:
        self._head = head
        self._folder = folder
        self._paths = members.rows["path"].to_pylist()
        self._labels = members.rows["label"].to_numpy().astype(np.int64)
        self._splits = members.rows["split"].to_numpy()
        self._rows = members.rows
        self._writers = {split: ShardWriter(folder, split, head.image.shape) for split in Split}
        self._blocks: list[tuple[NDArray[Any], ...]] = []
        self._moments = Moments()
        self._rejections = Rejections()
        self._coloured: list[str] = []
        self._repaired: list[str] = []
        self._thumbnails: dict[int, Thumbnail] = {}

    def add(self, first: int, results: list[DecodedImage | str]) -> None:
        """Add the results of the images from number `first` on: their pixels, or reasons for their rejection."""
        for number, result in enumerate(results, start=first):
            if isinstance(result, str):
                self._rejections.add(self._paths[number], result)
        good = [number for number, result in enumerate(results, start=first) if not isinstance(result, str)]
        IMAGES.labels("prepared").inc(len(good))
        IMAGES.labels("rejected").inc(len(results) - len(good))
        if not good:
            return
        numbers = np.array(good)
        images = [result for result in results if not isinstance(result, str)]
        pixels = np.stack([image.pixels for image in images])
        sizes = np.array([(image.width, image.height) for image in images], np.int32)
        self._repaired += [self._paths[number] for number, image in zip(numbers, images, strict=True) if image.repaired]
        if self._head.check_grey:
            pixels = self._greyed(pixels, numbers)
        places = np.empty((len(numbers), 2), np.int32)
        for index, split in enumerate(SPLITS):
            chosen = self._splits[numbers] == index
            if chosen.any():
                places[chosen] = self._writers[split].add(pixels[chosen], self._labels[numbers[chosen]])
                if split is Split.TRAIN:
                    self._moments += Moments.of(pixels[chosen])
        self._blocks.append((numbers, places, sizes, *perceptual_hashes(pixels)))
        self._add_thumbnails(numbers, pixels)

    def finish(self, originals: Originals, store: Store) -> PreparedPart:
        shards = {
            split: tuple(_stored(file, store) for file in writer.finish()) for split, writer in self._writers.items()
        }
        path = self._folder / "part-index.parquet"
        with IndexWriter(path) as writer:
            writer.add(self._index(originals))
        rejected = self._rejections
        return PreparedPart(
            counts_by_class=self._counts(),
            shards=shards,
            index=store(path),
            moments=self._moments,
            inflated=originals.inflated,
            rejected=len(rejected),
            rejected_files=rejected.first(),
            coloured=Files.of(self._coloured),
            repaired=Files.of(self._repaired),
            thumbnails=tuple(self._thumbnails.values()),
        )

    def _greyed(self, pixels: NDArray[np.uint8], numbers: NDArray[np.int64]) -> NDArray[np.uint8]:
        self._coloured += [self._paths[number] for number in numbers[coloured(pixels)]]
        luma = np.tensordot(pixels, _LUMA, (1, 0)) + 32768
        return (luma >> 16).astype(np.uint8)[:, None]

    def _add_thumbnails(self, numbers: NDArray[np.int64], pixels: NDArray[np.uint8]) -> None:
        """Keep a thumbnail for each of the first MOST_THUMBNAILS classes."""
        labels, firsts = np.unique(self._labels[numbers], return_index=True)
        for label, first in zip(labels.tolist(), firsts, strict=True):
            if label < MOST_THUMBNAILS and label not in self._thumbnails:
                self._thumbnails[label] = Thumbnail(label=self._head.classes[label], image=data_uri(pixels[first]))

    def _counts(self) -> dict[Split, dict[str, int]]:
        classes = self._head.classes
        numbers = self._numbers()
        counts = np.zeros((len(SPLITS), len(classes)), np.int64)
        np.add.at(counts, (self._splits[numbers], self._labels[numbers]), 1)
        return {split: dict(zip(classes, row.tolist(), strict=True)) for split, row in zip(SPLITS, counts, strict=True)}

    def _numbers(self) -> NDArray[np.int64]:
        return np.concatenate([block[0] for block in self._blocks]) if self._blocks else np.empty(0, np.int64)

    def _index(self, originals: Originals) -> pa.Table:
        if not self._blocks:
            return SCHEMA.empty_table()
        numbers, places, sizes, average, difference = map(np.concatenate, zip(*self._blocks, strict=True))
        order = np.argsort(self._splits[numbers], kind="stable")
        numbers, places, sizes = numbers[order], places[order], sizes[order]
        rows = self._rows.take(pa.array(numbers))
        return pa.table(
            {
                "sha256": originals.digests(numbers),
                "path": rows["path"],
                "split": _named(rows["split"], SPLITS),
                "label": _named(rows["label"], self._head.classes),
                "width": sizes[:, 0],
                "height": sizes[:, 1],
                "shard": places[:, 0],
                "row": places[:, 1],
                "average_hash": average[order],
                "difference_hash": difference[order],
                "member": rows["member"],
            }
            | {name: rows[name] if self._head.places else pa.nulls(len(rows)) for name in PLACE.names}
        )


def _named(numbers: pa.ChunkedArray, names: tuple[str, ...]) -> pa.DictionaryArray:
    indices = numbers.combine_chunks().cast(pa.int32())
    return pa.DictionaryArray.from_arrays(indices, pa.array(list(map(str, names)), pa.string()))


def _stored(file: ShardFile, store: Store) -> Shard:
    return Shard(count=file.count, images=store(file.images), labels=store(file.labels))
