"""A command that runs an exported model on a file of images, with the same engine that serves it."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from services.inference.engine.all_cores import AllCoresModel
from services.inference.engine.command import print_result


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the logits float32 (n, classes) of images uint8 (n, channels, height, width); return the exit status.

    Prints the model's signature and the execution provider as one JSON line, or the error on stderr.
    """
    parser = argparse.ArgumentParser(prog="python -m services.inference.evaluate")
    parser.add_argument("model", type=Path, metavar="MODEL.onnx")
    parser.add_argument("images", type=Path, metavar="IMAGES.npy")
    parser.add_argument("logits", type=Path, metavar="LOGITS.npy")
    options = parser.parse_args(arguments)
    return print_result(lambda: _evaluate(options.model, options.images, options.logits))


def _evaluate(model_file: Path, images_file: Path, logits_file: Path) -> dict[str, object]:
    images = np.load(images_file, mmap_mode="r")
    model = AllCoresModel(model_file)
    logits = model.run(images)
    with logits_file.open("wb") as file:
        np.save(file, logits)
    return {
        "inputs": [signature.model_dump() for signature in model.inputs],
        "outputs": [signature.model_dump() for signature in model.outputs],
        "provider": model.provider,
    }


if __name__ == "__main__":
    sys.exit(main())
