"""The utilization of an NVIDIA GPU, read through NVML."""

import os
from collections import deque
from typing import Any

import structlog

from worker.metrics import GPU_BUSY

SAMPLES = 10  # one a second: about the same window as messaging.rate

log = structlog.get_logger()


class Gpu:
    """GPU `number` of those visible to CUDA in this process; `nvml` is the module `pynvml`, which sees every GPU."""

    def __init__(self, nvml: Any, number: int = 0) -> None:
        self._nvml = nvml
        self._number = number
        self._device: Any = None
        self._samples: deque[float] = deque(maxlen=SAMPLES)

    def busy(self) -> float | None:
        """Return the mean of the last samples (0..1), or None if NVML reports no utilization, as for a MIG instance.

        A sample is the share of the last sampling period, a second at most, in which a kernel ran:
        https://docs.nvidia.com/deploy/nvml-api/structnvmlUtilization__t.html
        """
        try:
            if self._device is None:
                self._nvml.nvmlInit()
                self._device = self._find()
            self._samples.append(self._nvml.nvmlDeviceGetUtilizationRates(self._device).gpu / 100)
        except self._nvml.NVMLError as error:
            log.debug("GPU utilization not available", reason=type(error).__name__)
            return None
        busy = sum(self._samples) / len(self._samples)
        GPU_BUSY.labels(self._number).set(busy)
        return busy

    def _find(self) -> Any:
        visible = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
        name = visible[self._number] if self._number < len(visible) else str(self._number)
        if name.isdecimal():
            return self._nvml.nvmlDeviceGetHandleByIndex(int(name))
        return self._nvml.nvmlDeviceGetHandleByUUID(name)
