"""Decode photos with libjpeg-turbo alone, on all cores: what preprocessing is measured against."""

import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import simplejpeg

from benchmarks.inference.contender import CORES


def images_per_second(archive: Path, side: int, rounds: int = 3) -> float:
    """Return how many images of a zip a thread for each core decodes per second, the best of the rounds.

    Like preprocessing, libjpeg-turbo may decode at a reduced scale of at least `side` pixels a side; 0 is full size.
    """
    with zipfile.ZipFile(archive) as opened:
        files = [opened.read(name) for name in opened.namelist()]
    return max(_round(files, side) for _ in range(rounds))


def _round(files: list[bytes], side: int) -> float:
    def decode(data: bytes) -> None:
        simplejpeg.decode_jpeg(data, "RGB", fastdct=False, fastupsample=False, min_height=side, min_width=side)

    begin = time.perf_counter()
    with ThreadPoolExecutor(CORES) as pool:
        list(pool.map(decode, files))
    return len(files) / (time.perf_counter() - begin)
