"""Choose the device of a session."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"
TENSORRT = "TensorrtExecutionProvider"

Provider = str | tuple[str, dict[str, str]]


class ProviderChoice(StrEnum):
    """The values of TIDEPOOL_INFERENCE_PROVIDER; `auto` is CUDA if ONNX Runtime was built with it, else the CPU."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"
    TENSORRT = "tensorrt"


NAMES = {ProviderChoice.CPU: CPU, ProviderChoice.CUDA: CUDA, ProviderChoice.TENSORRT: TENSORRT}


@dataclass(frozen=True)
class Placement:
    """Where a replica runs its models: one device, by number; `cache` is a folder for TensorRT's engines."""

    choice: ProviderChoice = ProviderChoice.AUTO
    device: int = 0
    cache: Path | None = None

    def providers(self, available: Sequence[str]) -> list[Provider]:
        """Return the providers to request, best first; each runs the operators that those before it cannot.

        Raises ValueError if ONNX Runtime was built without the configured one.
        """
        choice = self.choice
        if choice is ProviderChoice.AUTO:
            choice = ProviderChoice.CUDA if CUDA in available else ProviderChoice.CPU
        if NAMES[choice] not in available:
            raise ValueError(f"TIDEPOOL_INFERENCE_PROVIDER is {choice}, but this ONNX Runtime has only {available}")
        chains: dict[ProviderChoice, list[Provider]] = {
            ProviderChoice.CPU: [CPU],
            ProviderChoice.CUDA: [(CUDA, self._cuda()), CPU],
            ProviderChoice.TENSORRT: [(TENSORRT, self._tensorrt()), (CUDA, self._cuda()), CPU],
        }
        return chains[choice]

    def _cuda(self) -> dict[str, str]:
        return {
            "device_id": str(self.device),
            "cudnn_conv_algo_search": "HEURISTIC",  # the default times every algorithm for each new shape
            "use_tf32": "0",  # scores must not depend on the device
        }

    def _tensorrt(self) -> dict[str, str]:
        """Return TensorRT's options. Without a cache, every load builds an engine, which takes minutes.

        Not tested on a GPU so far.
        """
        options = {"device_id": str(self.device)}
        if self.cache is not None:
            options |= {"trt_engine_cache_enable": "1", "trt_engine_cache_path": str(self.cache)}
        return options


def on_gpu(provider: str) -> bool:
    """Return whether a session with this provider keeps its tensors in GPU memory."""
    return provider in (CUDA, TENSORRT)
