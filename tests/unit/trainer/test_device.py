"""Device, precision and memory format of a training."""

import os

import pytest
import torch
from torch import nn

from services.trainer.device import Device, use_all_cores


def test_dense_network_on_a_cpu_computes_in_float32() -> None:
    device = Device.pick(nn.Linear(2, 2))

    assert str(device) == "cpu"
    with device.autocast():
        assert nn.Linear(2, 2)(torch.zeros(1, 2)).dtype == torch.float32


def test_convolutions_use_bfloat16_if_the_cpu_supports_it(monkeypatch: pytest.MonkeyPatch) -> None:
    conv = nn.Conv2d(3, 4, 1)
    chosen = []

    for native in (True, False):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda native=native: {"avx512_bf16": native})
        device = Device.pick(conv)
        with device.autocast():
            chosen.append((conv(torch.zeros(1, 3, 2, 2)).dtype, device.memory_format))

    assert chosen == [(torch.bfloat16, torch.channels_last), (torch.float32, torch.channels_last)]


def test_all_cores_are_used_unless_the_environment_sets_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    before = torch.get_num_threads()

    use_all_cores()  # all tests in this folder run with OMP_NUM_THREADS set
    with_variable = torch.get_num_threads()
    monkeypatch.delenv("OMP_NUM_THREADS")
    use_all_cores()
    without_variable = torch.get_num_threads()

    torch.set_num_threads(before)
    assert (with_variable, without_variable) == (before, len(os.sched_getaffinity(0)))
