"""The step `models`: write ResNet-18 and ResNet-50 with random weights, as fp32 and fp16."""

from pathlib import Path
from typing import Any

from benchmarks.gpu.resnets import BLOCKS, resnet
from benchmarks.inference.subjects import MEAN, STD
from benchmarks.training.child import main
from contract.images import ImageSpec, Preprocessing
from contract.models import ModelCard
from services.inference.quantization.fp16 import to_fp16

CLASSES = 1000
SIDE, SMALL_SIDE = 224, 64


def measure(request: dict[str, Any]) -> dict[str, Any]:
    """Write `resnet18.fp32.onnx` and so on; random weights compute as fast as trained ones."""
    folder, side = Path(request["folder"]), SMALL_SIDE if request["rehearse"] else SIDE
    card = ModelCard(
        labels=tuple(f"class {number}" for number in range(CLASSES)),
        preprocessing=Preprocessing(image=ImageSpec(size=(side, side)), mean=MEAN, std=STD),
    )
    for name in BLOCKS:
        file = folder / f"{name}.fp32.onnx"
        file.write_bytes(resnet(name, card))
        to_fp16(file, folder / f"{name}.fp16.onnx")
    sizes = {path.name: path.stat().st_size for path in sorted(folder.glob("resnet*.onnx"))}
    return {"side": side, "bytes": sizes}


if __name__ == "__main__":
    main(measure)
