"""Check that a graph fits an image classifier's card, and name the cause if it does not."""

from collections.abc import Sequence
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from contract.errors import BadModel
from contract.images import CHANNELS, ImageSpec, Layout, Mode, PixelType
from contract.training import TensorSignature

# The axes of an image, as indices into (channels, height, width), in the order of each layout.
AXES: dict[Layout, tuple[int, ...]] = {"NCHW": (0, 1, 2), "NHWC": (1, 2, 0), "NHW": (1, 2)}
SCORE_TYPES = ("float32", "float16", "float64")

_ORDER: dict[Layout, str] = {"NCHW": "channels first", "NHWC": "channels last", "NHW": "no channel axis"}
_MODES: dict[int, Mode] = {number: mode for mode, number in CHANNELS.items()}
_NO_IMAGES = "leave labels or preprocessing out to send tensors through /v2 instead"


def is_free(axis: int | str) -> bool:
    """Return whether an axis of a signature may have any length."""
    return isinstance(axis, str) or axis < 0


def one_input(inputs: Sequence[TensorSignature]) -> TensorSignature:
    """Return the input for the images; raises BadModel unless it is the only one."""
    if len(inputs) != 1:
        raise BadModel(
            f"the graph has {_listed(inputs, 'input')}; an image classifier has one, the images: {_NO_IMAGES}"
        )
    return inputs[0]


def one_output(outputs: Sequence[TensorSignature]) -> TensorSignature:
    """Return the output with the scores of the labels; raises BadModel unless it is the only one, of floats."""
    if len(outputs) != 1:
        raise BadModel(
            f"the graph has {_listed(outputs, 'output')}; export it with one, the scores of the labels, or {_NO_IMAGES}"
        )
    if outputs[0].dtype not in SCORE_TYPES:
        raise BadModel(
            f"the graph's output is {outputs[0].dtype}, but scores are {', '.join(SCORE_TYPES)}; export the scores of "
            "all labels, not the number of the best one"
        )
    return outputs[0]


def fixed_batch(tensor: TensorSignature) -> int | None:
    """Return the number of images that the graph takes in each run, or None if it takes any."""
    if not tensor.shape or is_free(tensor.shape[0]):
        return None
    return int(tensor.shape[0])


def pixel_type(tensor: TensorSignature, dtype: PixelType | None) -> PixelType:
    """Return the type of the input's elements; raises BadModel if images cannot have it or `dtype` is another."""
    for known in get_args(PixelType):
        if tensor.dtype == known:
            if dtype not in (None, known):
                raise BadModel(
                    f"the graph takes {known} images; preprocessing.dtype is {dtype}: change or leave it out"
                )
            return known  # type: ignore[no-any-return]
    raise BadModel(f"the graph's input is {tensor.dtype}; images can be {', '.join(get_args(PixelType))}")


def layouts(tensor: TensorSignature, image: ImageSpec, layout: Layout | None) -> tuple[Layout, ...]:
    """Return the layouts in which the input takes such images, only `layout` if that is given.

    Raises BadModel, with the cause, if there is none.
    """
    fitting = [name for name in AXES if _fits(tensor.shape, image, name)]
    if layout is None and fitting:
        return tuple(fitting)
    if layout in fitting:
        return (layout,)
    if layout and fitting:
        raise BadModel(
            f"the graph's input {_shape(tensor.shape)} has {_ORDER[fitting[0]]}; preprocessing.layout is {layout}: "
            f"change it to {fitting[0]} or leave it out"
        )
    raise BadModel(_misfit(tensor.shape, image, layout))


def scores_of(output: NDArray[np.generic], images: int, labels: int) -> NDArray[np.generic]:
    """Return a graph's output for some images as (images, labels); raises BadModel, with the cause, for another shape.

    Axes of length 1 after the first are dropped. A graph for two labels may give one score, that of the second label;
    it is returned as (images, 1).
    """
    shape = output.shape
    axes = [axis for axis in shape[1:] if axis != 1]
    if images == 1 and shape != (1,) and len(shape) == 1:
        axes, shape = list(shape), (1, *shape)
    if shape[:1] != (images,) or len(axes) > 1:
        raise BadModel(
            f"the graph's output for {images} images has the shape {list(output.shape)}; a classifier gives one score "
            f"for each label, [{images}, {labels}]"
        )
    count = axes[0] if axes else 1
    if count != labels and (count, labels) != (1, 2):
        raise BadModel(
            f"the graph gives {count} score{'' if count == 1 else 's'} for each image, but there are {labels} labels"
        )
    return output.reshape(images, count)


def _fits(shape: Sequence[int | str], image: ImageSpec, layout: Layout) -> bool:
    if layout == "NHW" and image.mode != "L":
        return False
    expected = [image.shape[index] for index in AXES[layout]]
    if not shape:  # of unknown rank
        return layout != "NHW"
    return len(shape) == len(expected) + 1 and all(
        is_free(axis) or axis == length for axis, length in zip(shape[1:], expected, strict=True)
    )


def _misfit(shape: Sequence[int | str], image: ImageSpec, layout: Layout | None) -> str:
    """Return why no layout fits: the number of axes, the channels or the size."""
    channels, height, width = image.shape
    guess = next((name for name in AXES if name in (layout or name, "NHW") and _is_image(shape, name)), None)
    guess = guess or next((name for name in AXES if _is_image(shape, name)), None)
    if tuple(shape) in (image.shape, (height, width, channels)):
        return f"the graph's input {_shape(shape)} has no axis for the batch; export it with one, which may be 1"
    if guess is None:
        return (
            f"the graph's input has the shape {_shape(shape)}; images of the metadata are [N, {channels}, {height}, "
            f"{width}] or [N, {height}, {width}, {channels}]"
        )
    axes = dict(zip(AXES[guess], shape[1:], strict=True))
    count = axes.get(0, 1)
    taken = "×".join(str(axes.get(axis, 1)) if not is_free(axes.get(axis, 1)) else "any" for axis in range(3))
    if not is_free(count) and count != channels:
        mode = _MODES.get(int(count))
        advice = f"set preprocessing.mode to {mode}" if mode else "images have 1 channel (mode L) or 3 (RGB)"
        return (
            f"the graph takes {taken} images, the metadata says mode {image.mode}, which has {channels} channels: "
            f"{advice}"
        )
    sides = [height if is_free(axes[1]) else axes[1], width if is_free(axes[2]) else axes[2]]
    return f"the graph takes {taken} images, the metadata says {height}×{width}: set preprocessing.size to {sides}"


def _is_image(shape: Sequence[int | str], layout: Layout) -> bool:
    """Return whether a shape may be that of images in a layout: a channel axis is free or short."""
    if len(shape) != len(AXES[layout]) + 1:
        return False
    channels = 1 if layout == "NHW" else shape[1 + AXES[layout].index(0)]
    return is_free(channels) or int(channels) <= 4


def _shape(shape: Sequence[int | str]) -> str:
    axes = ("?" if isinstance(axis, int) and axis < 0 else str(axis) for axis in shape)
    return f"[{', '.join(axes)}]"


def _listed(tensors: Sequence[TensorSignature], noun: str) -> str:
    names = ", ".join(repr(tensor.name[:80]) for tensor in tensors[:8])
    return f"{len(tensors)} {noun}s ({names})" if tensors else f"no {noun}"
