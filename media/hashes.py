"""Perceptual hashes of many images at once: similar images have hashes with few different bits."""

import functools

import numpy as np
from numpy.typing import NDArray

_SIDE = 8
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R 601

Hashes = NDArray[np.uint64]


def perceptual_hashes(pixels: NDArray[np.uint8]) -> tuple[Hashes, Hashes]:
    """Return the average hash and the difference hash of each image, as 64-bit integers.

    `pixels` are uint8 (count, 1 or 3 channels, height, width). The image is averaged to 8 × 8 cells; a bit of the
    average hash says whether a cell is lighter than the mean of all. For the difference hash it is averaged to
    8 × 9 cells; a bit says whether a cell is lighter than the one to the left. The first bit is that of the upper left
    cell. Cells that differ by less than half a grey level count as equal, so that rounding flips no bit of a flat area.
    """
    count, channels, height, width = pixels.shape
    columns = np.concatenate([_averaging(width, _SIDE), _averaging(width, _SIDE + 1)], axis=1)
    narrow = pixels.reshape(count * channels * height, width).astype(np.float32) @ columns
    small = _averaging(height, _SIDE).T @ narrow.reshape(count * channels, height, -1)
    cells = small.reshape(count, channels, _SIDE, -1)
    grey = np.tensordot(cells, _LUMA, (1, 0)) if channels == len(_LUMA) else cells[:, 0]
    squares, wide = grey[:, :, :_SIDE], grey[:, :, _SIDE:]
    lighter = squares > squares.mean(axis=(1, 2), keepdims=True) + 0.5
    rising = wide[:, :, 1:] > wide[:, :, :-1] + 0.5
    return _packed(lighter), _packed(rising)


@functools.cache
def _averaging(length: int, cells: int) -> NDArray[np.float32]:
    """Return the weights (length, cells) that average `length` pixels to `cells`, in proportion to the overlap."""
    edges = np.linspace(0, length, cells + 1)
    starts, stops = edges[:-1], edges[1:]
    pixels = np.arange(length)[:, None]
    overlap = np.clip(np.minimum(pixels + 1, stops) - np.maximum(pixels, starts), 0, None)
    return np.asarray(overlap / (stops - starts), np.float32)


def _packed(bits: NDArray[np.bool_]) -> Hashes:
    return np.packbits(bits.reshape(len(bits), 64), axis=1).view(">u8").astype(np.uint64).ravel()
