"""An export holds a few images at a time."""

import tracemalloc
from pathlib import Path

import numpy as np

from contract.access import DEFAULT_PROJECT
from contract.references import Reference
from services.gateway.exports.formats import FORMATS, Extras
from services.gateway.exports.version_images import VersionImages
from services.gateway.images.index_cache import IndexCache
from services.gateway.images.library import Library
from tests.support.images import encoded
from tests.support.job_runs import memory_stores
from tests.support.revisions import Revisions

MIB = 1 << 20


def bmp(seed: int) -> bytes:
    return encoded(np.random.default_rng(seed).integers(0, 256, (256, 256, 3), np.uint8), "BMP")


def test_memory_does_not_grow_with_the_images(tmp_path: Path) -> None:
    # given 24 MiB of images
    stores = memory_stores()
    noise = [np.random.default_rng(seed).integers(0, 256, (256, 256, 3), np.uint8) for seed in range(128)]
    files = {
        f"train/{'cat' if seed % 2 else 'dog'}/{seed}.bmp": encoded(pixels, "BMP") for seed, pixels in enumerate(noise)
    }
    Revisions(stores, tmp_path).prepare(files, "stored zip")
    reference = Reference.parse("pets@1")
    library = Library(stores.of(DEFAULT_PROJECT), stores.objects, IndexCache(stores.objects, MIB))
    version = VersionImages(library, reference, library.manifest(reference))

    # when they are exported
    tracemalloc.start()
    try:
        size = sum(len(chunk) for chunk in FORMATS["imagefolder"].write(version, Extras()))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    # then about as many were in memory as are read ahead
    assert size > 24 * MIB
    assert most < 8 * MIB
