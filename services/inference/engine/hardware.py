"""`python -m services.inference.engine.hardware` prints ONNX Runtime's providers and the GPUs as JSON."""

import json
from collections.abc import Sequence
from typing import Any

from services.inference.engine.onnx_runtime import ort


def gpus(nvml: Any) -> tuple[str | None, Sequence[dict[str, Any]]]:
    """Return the version of NVIDIA's driver and its GPUs; None and no GPU without a driver that answers."""
    try:
        nvml.nvmlInit()
        handles = [nvml.nvmlDeviceGetHandleByIndex(number) for number in range(nvml.nvmlDeviceGetCount())]
        memories = [nvml.nvmlDeviceGetMemoryInfo(handle) for handle in handles]
        cards = [
            {"name": nvml.nvmlDeviceGetName(handle), "memory_bytes": memory.total, "free_bytes": memory.free}
            for handle, memory in zip(handles, memories, strict=True)
        ]
        return nvml.nvmlSystemGetDriverVersion(), cards
    except nvml.NVMLError:
        return None, ()


def hardware(nvml: Any) -> dict[str, Any]:
    """Return what models can run on here."""
    driver, cards = gpus(nvml)
    return {
        "onnxruntime": ort.__version__,
        "providers": ort.get_available_providers(),
        "driver": driver,
        "gpus": list(cards),
    }


if __name__ == "__main__":
    import pynvml

    print(json.dumps(hardware(pynvml)))
