"""The state of a training: network, optimizer, gradient scaler and device."""

import copy

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, one_hot
from torch.nn.utils import convert_conv2d_weight_memory_format

from contract.training import Epoch
from services.trainer.checkpoint import Checkpoint, Weights
from services.trainer.data import TrainingData
from services.trainer.device import Device, make_deterministic
from services.trainer.image_losses import ImageLosses
from services.trainer.network import Blueprint, Network
from services.trainer.optimization import build_optimizer, lr_factor
from services.trainer.recipe import Recipe
from services.trainer.transforms import Normalize, augment, mixed


class Learner:
    """A network in training with its optimizer and gradient scaler, on one device."""

    def __init__(self, recipe: Recipe, data: TrainingData, start: Network | None = None) -> None:
        """Copy the weights of `start`, or draw them from the seed; raises BadModel."""
        torch.manual_seed(recipe.seed)
        model = copy.deepcopy(start) or blueprint_of(recipe, data).build()
        self.recipe = recipe
        self.device = Device.pick(model)
        make_deterministic(self.device.torch_device)
        model.body.requires_grad_(recipe.body_rate > 0)
        self.model = convert_conv2d_weight_memory_format(model.to(self.device.torch_device), self.device.memory_format)
        self.optimizer = build_optimizer(recipe.optimizer, self.model, recipe.body_rate)
        self.scaler = torch.amp.GradScaler(self.device.torch_device.type, enabled=self.device.dtype == torch.float16)
        self._images = len(data.train)
        self._halved = False
        self.image_losses = ImageLosses(self._images)
        self._normalize = Normalize(data.mean, data.std).to(self.device.torch_device)

    def move(self, *tensors: Tensor) -> list[Tensor]:
        """Copy the tensors to the device."""
        return [tensor.to(self.device.torch_device, non_blocking=True) for tensor in tensors]

    def inputs(self, images: Tensor) -> Tensor:
        """Normalize uint8 images (n, C, H, W) on the device to the network's float32 input."""
        normalized: Tensor = self._normalize(images)
        return normalized.contiguous(memory_format=self.device.memory_format)

    def batch(self, images: Tensor, labels: Tensor, classes: int) -> tuple[Tensor, Tensor]:
        """Return the augmented, normalized input of a step, and its targets: labels (n,), or shares (n, classes).

        Shares are for mixed images and weighted classes.
        """
        changes = self.recipe.augment
        inputs = self.inputs(images if changes is None else augment(images, changes))
        inputs = avg_pool2d(inputs, 2) if self._halved else inputs
        mix = changes.mix if changes is not None else 0.0
        if not mix and self.recipe.class_weights == "none":
            return inputs, labels
        targets = one_hot(labels, classes).float()
        return mixed(inputs, targets, mix) if mix else (inputs, targets)

    def train_mode(self) -> None:
        """Switch to training: dropout and, if the recipe says so, batch statistics."""
        self.model.train()
        if not self.recipe.batch_statistics:
            for module in self.model.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()

    def advance(self, progress: float) -> None:
        """Set the learning rates and the size of images for the step after the share `progress` (0..1) of all steps."""
        factor = lr_factor(self.recipe.schedule, progress)
        for group in self.optimizer.param_groups:
            group["lr"] = group["peak"] * factor
        self._halved = progress < self.recipe.halved

    def weights(self) -> Weights:
        """Return a copy of the network's weights."""
        return copy.deepcopy(self.model.state_dict())

    def checkpoint(self, epochs: tuple[Epoch, ...], best: Weights, seconds: float) -> Checkpoint:
        """Return a copy of everything that `resume` needs."""
        return Checkpoint(
            model=self.weights(),
            optimizer=copy.deepcopy(self.optimizer.state_dict()),
            scaler=self.scaler.state_dict(),
            best=best,
            epochs=epochs,
            recipe=self.recipe,
            seconds=seconds,
            image_losses=self.image_losses.to_tensor(),
        )

    def resume(self, checkpoint: Checkpoint) -> None:
        """Restore the state of the checkpoint.

        The losses of images start anew if one was erased since the checkpoint, because the numbers of images changed.
        """
        self.model.load_state_dict(checkpoint.model)
        self.optimizer.load_state_dict(copy.deepcopy(checkpoint.optimizer))
        self.scaler.load_state_dict(checkpoint.scaler)
        losses = checkpoint.image_losses
        same = losses is not None and losses.shape[1] == self._images
        self.image_losses = ImageLosses(self._images, losses if same else None)


def blueprint_of(recipe: Recipe, data: TrainingData) -> Blueprint:
    """Return the network that a recipe trains from scratch."""
    return Blueprint(shape=data.shape, classes=data.classes, architecture=recipe.architecture)
