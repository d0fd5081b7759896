"""The step `hardware`: what ONNX Runtime and PyTorch can use here."""

from typing import Any

import pynvml
import torch

from benchmarks.inference.facts import machine
from benchmarks.training.child import main
from services.inference.engine.hardware import hardware
from services.inference.engine.providers import TENSORRT
from services.inference.settings import InferenceSettings


def measure(_: dict[str, Any]) -> dict[str, Any]:
    """Return versions, providers and the machine; no host name and no path."""
    report = hardware(pynvml)
    best = InferenceSettings().placement.providers(report["providers"])[0]
    cuda = torch.cuda.is_available()
    return report | {
        "machine": machine(),
        "provider": best if isinstance(best, str) else best[0],
        "tensorrt": TENSORRT in report["providers"],
        "torch": torch.__version__,
        "torch_device": torch.cuda.get_device_name(0) if cuda else "cpu",
        "torch_cuda": torch.version.cuda,
    }


if __name__ == "__main__":
    main(measure)
