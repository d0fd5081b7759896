"""The device, precision and memory layout that a network is trained with."""

from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True)
class Device:
    """A device, the dtype of its convolutions and matrix products, and the memory format of its images."""

    torch_device: torch.device
    dtype: torch.dtype
    memory_format: torch.memory_format

    @classmethod
    def pick(cls, model: nn.Module) -> "Device":
        """Choose the first GPU, or the CPU if there is none, and the fastest dtype that loses no accuracy."""
        convolves = any(isinstance(module, nn.Conv2d) for module in model.modules())
        memory_format = torch.channels_last if convolves else torch.contiguous_format
        if torch.cuda.is_available():
            # GPUs before Ampere have no bfloat16; their float16 needs the losses scaled to keep small gradients.
            fast = torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
            return cls(torch.device("cuda", 0), fast, memory_format)
        # Other CPUs emulate bfloat16, which is slow, and small dense layers gain nothing from it.
        native = convolves and torch.cpu.get_capabilities().get("avx512_bf16", False)
        return cls(torch.device("cpu"), torch.bfloat16 if native else torch.float32, memory_format)

    def autocast(self) -> torch.autocast:
        """Return a context in which layers compute in `dtype`; weights stay float32."""
        return torch.autocast(self.torch_device.type, self.dtype, enabled=self.dtype != torch.float32)

    def __str__(self) -> str:
        if self.torch_device.type != "cuda":
            return "cpu"
        return f"{self.torch_device} {torch.cuda.get_device_name(self.torch_device)}"


def make_deterministic(device: torch.device) -> None:
    """On a CPU, make results equal bit for bit for the same seed and number of threads; on a GPU, prefer speed."""
    torch.use_deterministic_algorithms(device.type == "cpu")
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # a costly debugging aid
    torch.backends.cudnn.benchmark = device.type == "cuda"
