"""The only place that says on which device a session runs."""

from collections.abc import Sequence
from typing import Any

CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"

Provider = str | tuple[str, dict[str, Any]]

_CUDA_OPTIONS = {
    "cudnn_conv_algo_search": "HEURISTIC",  # the default search times every algorithm again for each batch size
    "use_tf32": "0",  # scores must not depend on the device that computed them
}


def preferred(available: Sequence[str]) -> list[Provider]:
    """The providers to ask for, best first: CUDA where ONNX Runtime was built with it, then the CPU."""
    return [(CUDA, _CUDA_OPTIONS), CPU] if CUDA in available else [CPU]
