"""The only place that counts the GPUs of this machine, so that each inference replica gets one of its own."""

from collections.abc import Mapping
from pathlib import Path

DRIVER = Path("/proc/driver/nvidia/gpus")  # one folder a GPU, where NVIDIA's driver is loaded
VISIBLE = "CUDA_VISIBLE_DEVICES"
DEVICE = "TIDEPOOL_INFERENCE_DEVICE"


def gpu_count(environment: Mapping[str, str], driver: Path = DRIVER) -> int:
    """How many GPUs a process with this environment can use."""
    there = len(list(driver.iterdir())) if driver.is_dir() else 0
    visible = environment.get(VISIBLE)
    return there if visible is None else min(there, len(list(filter(None, visible.split(",")))))


def device_of(index: int, environment: Mapping[str, str], driver: Path = DRIVER) -> dict[str, str]:
    """What tells the replica of this index, from 1 up, its device; nothing where there is no choice or one was made."""
    count = gpu_count(environment, driver)
    if count < 2 or DEVICE in environment:
        return {}
    return {DEVICE: str((index - 1) % count)}
