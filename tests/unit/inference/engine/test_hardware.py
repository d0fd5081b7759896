"""What models can run on, with a fake of NVML"""

from services.inference.engine.hardware import gpus, hardware
from tests.support.nvml import Nvml


def test_a_gpu_has_a_name_and_memory() -> None:
    driver, (card,) = gpus(Nvml())

    assert driver == "570.1"
    assert card == {"name": "NVIDIA H100", "memory_bytes": 80 << 30, "free_bytes": 70 << 30}


def test_a_machine_without_a_driver_has_no_gpu() -> None:
    answer = hardware(Nvml(driver=False))

    assert (answer["driver"], answer["gpus"]) == (None, [])
    assert "CPUExecutionProvider" in answer["providers"]
