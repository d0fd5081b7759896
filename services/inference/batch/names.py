"""Names the images of a split by path and hash, from the index of the dataset version."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from pathlib import Path

from contract.datasets import Shard, Split
from media.image_index import index_batches
from services.inference.batch.rows import PredictionRow

_COLUMNS = ("path", "sha256", "shard", "row")


def named(rows: Iterable[PredictionRow], index: Path, split: Split, shards: Sequence[Shard]) -> Iterator[PredictionRow]:
    """Replace the numbers of the images by their paths and add their hashes; `rows` are all rows of the split.

    An image that the index lacks keeps its number, as text.
    """
    images = _images(index, split, shards)
    number, path, sha256 = next(images, (-1, "", ""))
    for row in rows:
        if row.image == number:
            yield row.model_copy(update={"image": path, "sha256": sha256})
            number, path, sha256 = next(images, (-1, "", ""))
        else:
            yield row.model_copy(update={"image": str(row.image)})


def _images(index: Path, split: Split, shards: Sequence[Shard]) -> Iterator[tuple[int, str, str]]:
    """Yield the number in the split, path and hash of each image of the index, in order."""
    before = [0, *accumulate(shard.count for shard in shards)]
    for batch in index_batches(index, _COLUMNS, split):
        for path, sha256, shard, row in zip(*(batch[name].to_pylist() for name in _COLUMNS), strict=True):
            yield before[shard] + row, path, sha256.hex()
