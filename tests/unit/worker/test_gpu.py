"""How busy a GPU is, by bindings that answer as NVML does; no test machine has the library."""

from types import SimpleNamespace

import pynvml
import pytest

from worker.gpu import LOOKS, Gpu


class Nvml:
    """Two devices, with an utilization for each."""

    NVMLError = pynvml.NVMLError

    def __init__(self, **percent: int) -> None:
        self.percent = percent
        self.fails: int | None = None

    def nvmlInit(self) -> None:  # noqa: N802  NVML's name
        if self.fails is not None:
            raise pynvml.NVMLError(self.fails)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> str:  # noqa: N802  NVML's name
        return f"index{index}"

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> str:  # noqa: N802  NVML's name
        return uuid.replace("-", "")

    def nvmlDeviceGetUtilizationRates(self, device: str) -> SimpleNamespace:  # noqa: N802  NVML's name
        return SimpleNamespace(gpu=self.percent[device], memory=1)


@pytest.mark.parametrize(
    ("visible", "number", "expected"),
    [("", 0, 0.25), ("", 1, 0.5), ("1,0", 0, 0.5), ("1,0", 1, 0.25), ("GPU-abc", 0, 0.75), ("1,GPU-abc", 1, 0.75)],
)
def test_the_device_that_cuda_shows(
    monkeypatch: pytest.MonkeyPatch, visible: str, number: int, expected: float
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)

    assert Gpu(Nvml(index0=25, index1=50, GPUabc=75), number).busy() == expected


def test_the_mean_of_the_last_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    nvml = Nvml(index0=100)
    gpu = Gpu(nvml)
    assert [gpu.busy() for _ in range(LOOKS)] == [1.0] * LOOKS

    nvml.percent["index0"] = 0

    assert [gpu.busy() for _ in range(LOOKS + 1)][-2:] == [0.0, 0.0]


def test_a_gpu_that_does_not_tell_and_then_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    nvml = Nvml(index0=40)
    nvml.fails = pynvml.NVML_ERROR_DRIVER_NOT_LOADED
    gpu = Gpu(nvml)
    assert gpu.busy() is None

    nvml.fails = None

    assert gpu.busy() == 0.4


def test_the_real_bindings_where_no_driver_is() -> None:
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        assert Gpu(pynvml).busy() is None
    else:
        busy = Gpu(pynvml).busy()
        assert busy is None or 0 <= busy <= 1
