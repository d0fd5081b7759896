"""Device, precision and memory format of a training."""

import pytest
import torch
from torch import nn

from services.trainer.device import Device


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
