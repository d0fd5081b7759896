"""The utilization of a GPU, with a fake of NVML; no test machine has the library."""

from types import SimpleNamespace

import pynvml
import pytest
from prometheus_client import REGISTRY

from worker.gpu import SAMPLES, Gpu


class Nvml:
    """A fake `pynvml` with a utilization for each device."""

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
def test_the_device_visible_to_cuda_is_measured(
    monkeypatch: pytest.MonkeyPatch, visible: str, number: int, expected: float
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)

    assert Gpu(Nvml(index0=25, index1=50, GPUabc=75), number).busy() == expected


def test_utilization_is_the_mean_of_the_last_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    nvml = Nvml(index0=100)
    gpu = Gpu(nvml)
    assert [gpu.busy() for _ in range(SAMPLES)] == [1.0] * SAMPLES

    nvml.percent["index0"] = 0

    assert [gpu.busy() for _ in range(SAMPLES + 1)][-2:] == [0.0, 0.0]


def test_utilization_is_a_metric(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

    Gpu(Nvml(index0=30), 0).busy()

    assert REGISTRY.get_sample_value("tidepool_replica_gpu_busy_ratio", {"gpu": "0"}) == 0.3


def test_utilization_is_none_until_the_driver_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    nvml = Nvml(index0=40)
    nvml.fails = pynvml.NVML_ERROR_DRIVER_NOT_LOADED
    gpu = Gpu(nvml)
    assert gpu.busy() is None

    nvml.fails = None

    assert gpu.busy() == 0.4


def test_the_real_bindings_work_with_and_without_a_driver() -> None:
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        assert Gpu(pynvml).busy() is None
    else:
        busy = Gpu(pynvml).busy()
        assert busy is None or 0 <= busy <= 1
