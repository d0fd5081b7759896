"""Pretrained networks as people have them: safetensors and ONNX files."""

from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from safetensors.torch import save_file
from torch import Tensor, nn

IMAGENET = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}


class Block(nn.Module):
    """A block of torchvision's ResNet-18, with its names."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(self.bn1(self.conv1(x)).relu()))
        return (y + (x if self.downsample is None else self.downsample(x))).relu()


class TorchvisionResNet18(nn.Module):
    """ResNet-18 with the names of torchvision, and random weights and statistics."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        for number, (inputs, outputs) in enumerate([(64, 64), (64, 128), (128, 256), (256, 512)], 1):
            stride = 1 if number == 1 else 2
            self.add_module(f"layer{number}", nn.Sequential(Block(inputs, outputs, stride), Block(outputs, outputs, 1)))
        self.fc = nn.Linear(512, 1000)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.5, 2)

    def features(self, images: Tensor) -> Tensor:
        x = self.maxpool(self.bn1(self.conv1(images)).relu())
        for number in range(1, 5):
            x = getattr(self, f"layer{number}")(x)
        return x.mean(dim=(2, 3))


def saved(folder: Path, tensors: dict[str, Tensor]) -> Path:
    """Write tensors as a safetensors file."""
    file = folder / "weights.safetensors"
    save_file({name: value.contiguous() for name, value in tensors.items()}, file)
    return file


def graph(
    folder: Path,
    shape: tuple[int | str, ...] = ("batch", 3, 16, 16),
    pooled: bool = False,
    opset: int = 17,
    extra: tuple[onnx.NodeProto, ...] = (),
    outputs: tuple[str, ...] = ("features",),
) -> Path:
    """Write an ONNX file: a convolution to 8 channels, ReLU, the mean over the image, flattened unless `pooled`."""
    weights = np.random.default_rng(0).normal(0, 0.4, (8, 3, 3, 3)).astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["images", "w"], ["convolved"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["convolved"], ["positive"]),
        helper.make_node("GlobalAveragePool", ["positive"], ["features" if pooled else "pooled"]),
        *([] if pooled else [helper.make_node("Flatten", ["pooled"], ["features"])]),
        *extra,
    ]
    flat = ("batch", 8, 1, 1) if pooled else ("batch", 8)
    shapes = {"features": flat, "scores": flat, "convolved": ("batch", 8, "h", "w")}
    proto = helper.make_graph(
        nodes,
        "body",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shapes[name]) for name in outputs],
        [numpy_helper.from_array(weights, "w")],
    )
    model = helper.make_model(proto, ir_version=8, opset_imports=[helper.make_opsetid("", opset)])
    file = folder / "body.onnx"
    file.write_bytes(model.SerializeToString())
    return file
