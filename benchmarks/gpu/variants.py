"""The step `variants`: fp32, fp16 and int8 of the trained model, with their speed and accuracy on this card."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.training.child import main
from benchmarks.training.runner import ROOT

COMMAND = "services.inference.quantization.command"


def measure(request: dict[str, Any]) -> dict[str, Any]:
    """Make the variants as a training job does; the accuracy is that on the test images which were run."""
    source, folder = Path(request["folder"]), Path(request["folder"]) / "variants"
    folder.mkdir()
    files = (source / "trained.onnx", source / "calibration.npy", source / "check.npy", folder)
    command = [sys.executable, "-m", COMMAND, *map(str, files)]
    output = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout
    report = json.loads(output.splitlines()[-1])
    labels = np.load(source / "labels.npy")
    rows = []
    for name, speed in report["images_per_second"].items():
        logits = np.load(folder / f"{name}.logits.npy")
        right = float((logits.argmax(1) == labels[: len(logits)]).mean())
        rows.append({"variant": name, "images_per_s": speed, "accuracy": right, "images": len(logits)})
    return {"rows": rows, "failures": report["failures"]}


if __name__ == "__main__":
    main(measure)
