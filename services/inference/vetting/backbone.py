"""Check that a graph maps images to features, by running it on random images."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contract.errors import BadModel
from contract.training import TensorSignature
from services.inference.engine.fit import is_free
from services.inference.engine.model import LoadedModel
from services.inference.engine.onnx_runtime import ORT_ERRORS
from services.inference.vetting.classifier import close
from services.inference.vetting.findings import BackboneShape, BackboneTrial

MOST_FEATURES = 16_384
LARGEST_SIDE = 1024  # of images, in pixels
RANK = 4  # of a batch of images
_DYNAMIC = 'export it with a free first axis, such as dynamic_axes={"images": {0: "batch"}} in torch.onnx.export'

Array = NDArray[Any]


def try_backbone(model: LoadedModel, shape: BackboneShape) -> BackboneTrial:
    """Run the graph on random images; raises BadModel, with what to change, if it does not map them to features."""
    tensor = _images(model.inputs, shape.channels)
    size = _size(tensor, shape)
    pair = np.random.default_rng(0).standard_normal((2, shape.channels, *size)).astype(np.float32)
    together = _run(model, tensor, pair)
    names = [output.name for output in model.outputs]
    fitting = [name for name, array in zip(names, together, strict=True) if _has_features(array)]
    if len(fitting) != 1:
        shapes = ", ".join(f"{name!r} {list(array.shape)}" for name, array in zip(names, together, strict=True))
        amount = "no output" if not fitting else "several outputs"
        raise BadModel(
            f"the graph has {amount} of features float32 (n, f) or (n, f, 1, 1) with up to {MOST_FEATURES} features, "
            f"and needs one; for two images it returns {shapes}"
        )
    index = names.index(fitting[0])
    features = together[index].reshape(2, -1)
    if not np.isfinite(features).all():
        raise BadModel("the features of random images are not finite numbers; check the weights")
    alone = np.concatenate([_run(model, tensor, pair[row : row + 1])[index].reshape(1, -1) for row in range(2)])
    if not close(alone, features, half=False):
        raise BadModel(
            "the features of an image depend on the other images of its batch; export the network in evaluation mode"
        )
    return BackboneTrial(input=tensor.name, output=fitting[0], size=size, features=features.shape[1])


def _images(inputs: Sequence[TensorSignature], channels: int) -> TensorSignature:
    """Return the only input; raises BadModel unless it takes a batch of images of any length, channels first."""
    if len(inputs) != 1:
        raise BadModel(f"the graph has {len(inputs)} inputs; a backbone has one, the images")
    (tensor,) = inputs
    if tensor.dtype != "float32" or len(tensor.shape) != RANK:
        raise BadModel(
            f"the input {tensor.name!r} is {tensor.dtype} {list(tensor.shape)}; a backbone takes images float32 "
            f"(n, {channels}, height, width)"
        )
    batch, first, _, last = tensor.shape
    if not is_free(first) and first != channels:
        advice = "export it with channels first" if last == channels else f"set preprocessing.mode for {first} channels"
        raise BadModel(
            f"the input {tensor.name!r} is {list(tensor.shape)}; a backbone takes images (n, {channels}, height, "
            f"width): {advice}"
        )
    if not is_free(batch):
        raise BadModel(f"the graph takes batches of {batch} only; {_DYNAMIC}")
    return tensor


def _size(tensor: TensorSignature, shape: BackboneShape) -> tuple[int, int]:
    """Return height and width; raises BadModel if the graph takes others, or if neither says them."""
    fixed = tensor.shape[2:]
    if shape.size is None:
        if any(is_free(side) for side in fixed):
            raise BadModel("the graph takes images of any size; say in preprocessing.size which it was trained with")
        height, width = (int(side) for side in fixed)
    else:
        height, width = shape.size
    if not all(is_free(side) or side == length for side, length in zip(fixed, (height, width), strict=True)):
        raise BadModel(
            f"the graph takes images of {list(fixed)} pixels (height, width), and preprocessing.size is "
            f"{[height, width]}; leave the size out"
        )
    if max(height, width) > LARGEST_SIDE:
        raise BadModel(f"the graph takes images of {height}×{width} pixels; a side can have {LARGEST_SIDE} at most")
    return height, width


def _run(model: LoadedModel, tensor: TensorSignature, images: Array) -> list[Array]:
    """Return all outputs for a batch of images; raises BadModel if the graph fails on it."""
    try:
        outputs = model.session.run(None, {tensor.name: images})
    except ORT_ERRORS:
        size = "×".join(str(side) for side in images.shape[2:])
        raise BadModel(
            f"the graph failed on {len(images)} random image{'s' if len(images) > 1 else ''} of {size} pixels "
            "(height×width); check it with onnxruntime at that size"
        ) from None
    return [np.asarray(output) for output in outputs]


def _has_features(array: Array) -> bool:
    """Return whether an output for two images is float32 (2, f) or (2, f, 1, 1)."""
    flat = array.ndim == 2 or (array.ndim == RANK and array.shape[2:] == (1, 1))
    return bool(array.dtype == np.float32 and flat and len(array) == 2 and 1 < array.shape[1] <= MOST_FEATURES)
