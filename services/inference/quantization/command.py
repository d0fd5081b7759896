"""A command that makes the variants of an exported model and measures them on this machine."""

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.inference.engine.command import print_result
from services.inference.quantization.fp16 import to_fp16
from services.inference.quantization.int8 import to_int8
from services.inference.quantization.measure import agreement, images_per_second, load

CHOICE_IMAGES = 128  # decide between the int8 schemes; a fixed number, so that equal data give equal files
CHECKED_IMAGES = 400  # at least, if there are as many
CHECK_S = 3.0  # of one core with fp32, for all images that are checked
SLOW_IMAGES = 32  # for a variant that is slower than fp32 and so will not be chosen


def main(arguments: Sequence[str] | None = None) -> int:
    """Write `fp16.onnx`, `int8.onnx` and the logits of each variant to FOLDER; return the exit status.

    Prints one JSON line: by variant its images per second, and why variants are missing. Logits are those of the first
    images of CHECK.npy: as many as fp32 runs in a few seconds, fewer for a variant that is slower than fp32. The model
    is not run on images whose logits are known.
    """
    parser = argparse.ArgumentParser(prog="python -m services.inference.quantization.command")
    parser.add_argument("model", type=Path, metavar="MODEL.onnx")
    parser.add_argument("calibration", type=Path, metavar="CALIBRATION.npy")
    parser.add_argument("check", type=Path, metavar="CHECK.npy")
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--logits", type=Path, help="logits of the model for CHECK.npy", metavar="LOGITS.npy")
    options = parser.parse_args(arguments)
    logits = np.load(options.logits) if options.logits else None
    return print_result(lambda: _make(options.model, options.calibration, options.check, options.folder, logits))


def _make(
    source: Path, calibration: Path, check: Path, folder: Path, known: NDArray[np.float32] | None
) -> dict[str, Any]:
    images = np.load(check, mmap_mode="r")
    model = load(source)

    def reference(part: slice) -> NDArray[np.float32]:
        return model.run(images[part]) if known is None else known[part]

    first = reference(slice(CHOICE_IMAGES))
    files, failures, notes = {"fp32": source}, {}, {}

    def attempt(name: str, make: Callable[[], str | None]) -> None:
        try:
            notes[name] = make()
            files[name] = folder / f"{name}.onnx"
        except Exception as error:  # noqa: BLE001  # the converters do not document what they raise
            failures[name] = f"{type(error).__name__}: {error}"

    def int8() -> str:
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            schemes = to_int8(source, np.load(calibration), model.card.preprocessing, Path(scratch))
            best = _best_scheme(schemes, images[:CHOICE_IMAGES], first)
            schemes[best].replace(folder / "int8.onnx")
        return best

    attempt("fp16", lambda: to_fp16(source, folder / "fp16.onnx"))
    attempt("int8", int8)
    rates = images_per_second(files, images[:64])
    count = max(CHECKED_IMAGES, int(CHECK_S * rates["fp32"]))
    np.save(folder / "fp32.logits.npy", np.concatenate([first, reference(slice(CHOICE_IMAGES, count))]))
    for name in files.keys() - {"fp32"}:
        most = count if rates[name] >= rates["fp32"] else SLOW_IMAGES
        np.save(folder / f"{name}.logits.npy", load(files[name]).run(images[:most]))
    return {"images_per_second": rates, "notes": notes, "failures": failures}


def _best_scheme(schemes: dict[str, Path], images: NDArray[np.uint8], reference: NDArray[np.float32]) -> str:
    """Return the scheme that agrees most with the reference logits; of equals, the one with the closest logits."""

    def rank(scheme: str) -> tuple[float, float]:
        logits = load(schemes[scheme]).run(images)
        return agreement(logits, reference), -float(np.abs(logits - reference).mean())

    return max(schemes, key=rank)


if __name__ == "__main__":
    sys.exit(main())
