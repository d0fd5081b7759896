"""The only place that puts a network, its optimizer and its device together."""

import copy

import torch
from torch import Tensor
from torch.nn.utils import convert_conv2d_weight_memory_format

from contract.kinds.train import TrainSpec
from contract.training import Epoch
from services.trainer.checkpoint import Checkpoint, Weights
from services.trainer.data import TrainingData
from services.trainer.device import Device, be_deterministic
from services.trainer.model import build
from services.trainer.normalize import Normalize
from services.trainer.optimizer import build_optimizer


class Learner:
    """All that changes while a network learns, on the device where it learns."""

    def __init__(self, spec: TrainSpec, data: TrainingData) -> None:
        """Draw the first weights from the seed; raises BadModel."""
        torch.manual_seed(spec.seed)
        model = build(spec.architecture, data.shape, data.classes)
        self.device = Device.pick(model)
        be_deterministic(self.device.where)
        self.model = convert_conv2d_weight_memory_format(model.to(self.device.where), self.device.layout)
        self.optimizer = build_optimizer(spec.optimizer, self.model)
        self.scaler = torch.amp.GradScaler(self.device.where.type, enabled=self.device.precision == torch.float16)
        self._normalize = Normalize(data.mean, data.std).to(self.device.where)

    def move(self, *tensors: Tensor) -> list[Tensor]:
        """The tensors on the device."""
        return [tensor.to(self.device.where, non_blocking=True) for tensor in tensors]

    def inputs(self, images: Tensor) -> Tensor:
        """The network's float32 input of uint8 pictures (n, C, H, W) on the device."""
        normalized: Tensor = self._normalize(images)
        return normalized.contiguous(memory_format=self.device.layout)

    def set_rate(self, rate: float) -> None:
        """Learn at `rate` from the next step on."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate

    def weights(self) -> Weights:
        """A copy of the network's weights."""
        return copy.deepcopy(self.model.state_dict())

    def checkpoint(self, epochs: tuple[Epoch, ...], best: Weights) -> Checkpoint:
        """A copy of everything that `resume` needs."""
        return Checkpoint(
            model=self.weights(),
            optimizer=copy.deepcopy(self.optimizer.state_dict()),
            scaler=self.scaler.state_dict(),
            best=best,
            epochs=epochs,
        )

    def resume(self, checkpoint: Checkpoint) -> None:
        """Become what was when the checkpoint was taken."""
        self.model.load_state_dict(checkpoint.model)
        self.optimizer.load_state_dict(copy.deepcopy(checkpoint.optimizer))
        self.scaler.load_state_dict(checkpoint.scaler)
