"""The only place that asks an NVIDIA GPU how busy it is."""

import os
from collections import deque
from typing import Any

import structlog

LOOKS = 10  # one a second, so about as many seconds as other work is averaged over

log = structlog.get_logger()


class Gpu:
    """One of the devices that CUDA shows this process, by NVML, which sees them all; `nvml` is the module `pynvml`."""

    def __init__(self, nvml: Any, number: int = 0) -> None:
        self._nvml = nvml
        self._number = number
        self._device: Any = None
        self._seen: deque[float] = deque(maxlen=LOOKS)

    def busy(self) -> float | None:
        """The mean over the last looks of NVML's utilization, None where it cannot tell, as of a part of a GPU (MIG).

        That is the share of the time of its last sample, a second at most, in which a kernel ran:
        https://docs.nvidia.com/deploy/nvml-api/structnvmlUtilization__t.html
        """
        try:
            if self._device is None:
                self._nvml.nvmlInit()
                self._device = self._find()
            self._seen.append(self._nvml.nvmlDeviceGetUtilizationRates(self._device).gpu / 100)
        except self._nvml.NVMLError as error:
            log.debug("the GPU does not say how busy it is", reason=type(error).__name__)
            return None
        return sum(self._seen) / len(self._seen)

    def _find(self) -> Any:
        visible = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
        name = visible[self._number] if self._number < len(visible) else str(self._number)
        if name.isdecimal():
            return self._nvml.nvmlDeviceGetHandleByIndex(int(name))
        return self._nvml.nvmlDeviceGetHandleByUUID(name)
