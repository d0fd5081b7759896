"""The only place that says on which device a session runs, and how precisely."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"
TENSORRT = "TensorrtExecutionProvider"

Provider = str | tuple[str, dict[str, str]]


class Choice(StrEnum):
    """What an operator can ask for; `auto` is CUDA where ONNX Runtime was built with it, else the CPU."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"
    TENSORRT = "tensorrt"


class Precision(StrEnum):
    """Of what a device computes in; inputs and outputs keep their types. The CPU always computes in fp32."""

    FP32 = "fp32"
    FP16 = "fp16"


NAMES = {Choice.CPU: CPU, Choice.CUDA: CUDA, Choice.TENSORRT: TENSORRT}


@dataclass(frozen=True)
class Placement:
    """Where a replica runs its models: one device, by its number; `cache` keeps what was made of graphs for it."""

    choice: Choice = Choice.AUTO
    device: int = 0
    precision: Precision = Precision.FP32
    cache: Path | None = None

    def providers(self, available: Sequence[str]) -> list[Provider]:
        """The providers to ask for, best first; each runs what those before it cannot.

        Raises ValueError if one was asked for that ONNX Runtime was built without.
        """
        choice = self.choice
        if choice is Choice.AUTO:
            choice = Choice.CUDA if CUDA in available else Choice.CPU
        if NAMES[choice] not in available:
            raise ValueError(f"TIDEPOOL_INFERENCE_PROVIDER is {choice}, but this ONNX Runtime has only {available}")
        wanted: dict[Choice, list[Provider]] = {
            Choice.CPU: [CPU],
            Choice.CUDA: [(CUDA, self._cuda()), CPU],
            Choice.TENSORRT: [(TENSORRT, self._tensorrt()), (CUDA, self._cuda()), CPU],
        }
        return wanted[choice]

    def _cuda(self) -> dict[str, str]:
        return {
            "device_id": str(self.device),
            "cudnn_conv_algo_search": "HEURISTIC",  # the default search times every algorithm again for each shape
            "use_tf32": "0",  # scores must not depend on the device that computed them
        }

    def _tensorrt(self) -> dict[str, str]:
        """Engines take minutes to build, so without a cache every load takes them. not seen on a GPU so far."""
        options = {"device_id": str(self.device), "trt_fp16_enable": str(int(self.precision is Precision.FP16))}
        if self.cache is not None:
            options |= {"trt_engine_cache_enable": "1", "trt_engine_cache_path": str(self.cache)}
        return options


def on_gpu(provider: str) -> bool:
    """Whether a session that uses this provider keeps its tensors in the memory of a CUDA device."""
    return provider in (CUDA, TENSORRT)
