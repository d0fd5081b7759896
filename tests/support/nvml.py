"""A fake of NVML, for machines without a GPU."""

from types import SimpleNamespace

import pynvml


class Nvml:
    """A fake `pynvml` with one GPU, or none; `utilization` None is a MIG instance."""

    NVMLError = pynvml.NVMLError

    def __init__(self, *, driver: bool = True, utilization: int | None = 50) -> None:
        self._driver = driver
        self._utilization = utilization

    def nvmlInit(self) -> None:  # noqa: N802  NVML's name
        if not self._driver:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802  NVML's name
        return 1

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:  # noqa: N802  NVML's name
        return index

    def nvmlDeviceGetMemoryInfo(self, _: int) -> SimpleNamespace:  # noqa: N802  NVML's name
        return SimpleNamespace(total=80 << 30, free=70 << 30, used=10 << 30)

    def nvmlDeviceGetName(self, _: int) -> str:  # noqa: N802  NVML's name
        return "NVIDIA H100"

    def nvmlSystemGetDriverVersion(self) -> str:  # noqa: N802  NVML's name
        return "570.1"

    def nvmlDeviceGetUtilizationRates(self, _: int) -> SimpleNamespace:  # noqa: N802  NVML's name
        if self._utilization is None:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
        return SimpleNamespace(gpu=self._utilization, memory=1)
