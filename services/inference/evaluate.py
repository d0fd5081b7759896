"""A command that runs an exported model on files of images, with the same engine that serves it."""

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from services.inference.engine.all_cores import AllCoresModel
from services.inference.engine.command import print_results

SUFFIX = ".logits.npy"  # of the files with the answers


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the logits float32 (n, classes) of files of images uint8 (n, channels, height, width).

    Reads the paths of .npy files from stdin, a line each, and writes a file beside each, X.logits.npy for X.npy. Prints
    a JSON line at the start, the model's signature and the execution provider, and one after each file. Returns the
    exit status; an error ends the command, with a line on stderr.
    """
    parser = argparse.ArgumentParser(prog="python -m services.inference.evaluate")
    parser.add_argument("model", type=Path, metavar="MODEL.onnx")
    options = parser.parse_args(arguments)
    return print_results(_evaluate(options.model, sys.stdin))


def _evaluate(model_file: Path, lines: Iterable[str]) -> Iterator[dict[str, object]]:
    model = AllCoresModel(model_file)
    yield {
        "inputs": [signature.model_dump() for signature in model.inputs],
        "outputs": [signature.model_dump() for signature in model.outputs],
        "provider": model.provider,
    }
    for line in lines:
        file = Path(line.rstrip("\n"))
        images = np.load(file, mmap_mode="r")
        np.save(file.with_suffix(SUFFIX), model.run(images))
        yield {"images": len(images)}


if __name__ == "__main__":
    sys.exit(main())
