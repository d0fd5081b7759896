"""The only place that chooses where and in which precision a network is trained."""

import os
from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True)
class Device:
    """A processor, the precision of its convolutions and matrix products, and the layout of pictures in its memory."""

    where: torch.device
    precision: torch.dtype
    layout: torch.memory_format

    @classmethod
    def pick(cls, model: nn.Module) -> "Device":
        """The first GPU if there is one, else the CPU, in the fastest precision that loses no accuracy."""
        convolves = any(isinstance(module, nn.Conv2d) for module in model.modules())
        layout = torch.channels_last if convolves else torch.contiguous_format
        if torch.cuda.is_available():
            # GPUs before Ampere have no bfloat16; their float16 needs the losses scaled to keep small gradients.
            fast = torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
            return cls(torch.device("cuda", 0), fast, layout)
        # Other CPUs emulate bfloat16, which is slow, and small dense layers gain nothing from it.
        native = convolves and torch.cpu.get_capabilities().get("avx512_bf16", False)
        return cls(torch.device("cpu"), torch.bfloat16 if native else torch.float32, layout)

    def autocast(self) -> torch.autocast:
        """A context in which layers compute in the precision; weights stay float32."""
        return torch.autocast(self.where.type, self.precision, enabled=self.precision != torch.float32)

    def __str__(self) -> str:
        return f"{self.where} {torch.cuda.get_device_name(self.where)}" if self.where.type == "cuda" else "cpu"


def use_all_cores() -> None:
    """Compute with every core this process may run on, unless OMP_NUM_THREADS says otherwise."""
    if "OMP_NUM_THREADS" not in os.environ and hasattr(os, "sched_getaffinity"):
        torch.set_num_threads(len(os.sched_getaffinity(0)))


def be_deterministic(where: torch.device) -> None:
    """On a CPU, give the same bits for the same seed and number of threads; on a GPU, prefer speed."""
    torch.use_deterministic_algorithms(where.type == "cpu")
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # a costly debugging aid
    torch.backends.cudnn.benchmark = where.type == "cuda"
