"""Find out why a graph fails on the images that its metadata describes, if its signature does not say it."""

import time
from collections.abc import Iterator

from contract.errors import BadModel
from contract.images import CHANNELS, ImageSpec, Layout, PixelType, Preprocessing
from contract.kinds.vet import ImageInput
from services.inference.engine.fit import fixed_batch, layouts
from services.inference.engine.model import LoadedModel
from services.inference.engine.normalization import InputBuffer
from services.inference.engine.onnx_runtime import ORT_ERRORS

# The usual sizes of images for classifiers.
SIDES = (28, 32, 48, 64, 96, 112, 128, 160, 192, 224, 227, 240, 256, 260, 288, 299, 300, 320, 331, 380, 384, 448, 512)
SEARCH_S = 10  # of CPU time, a part of what vetting may take


def cause_of(model: LoadedModel, image: ImageInput, dtype: PixelType, error: BadModel) -> BadModel:
    """Return an error that says with which other layout, mode or size the graph runs, or `error` if none is known.

    The graph has one input, of type `dtype`, whose axes may be free.
    """
    if any(_runs(model, image.image, layout, dtype) for layout in _layouts(model, image.image, image.layout)):
        return error  # it runs, but its output does not fit
    end = time.process_time() + SEARCH_S
    for name, value, other, layout in _alternatives(model, image):
        if time.process_time() > end:
            break
        if _runs(model, other, layout, dtype):
            height, width = image.size
            return BadModel(
                f"the graph fails on images of {height}×{width} in mode {image.mode}"
                f"{f' and layout {image.layout}' if image.layout else ''}, but runs with preprocessing.{name} {value}"
            )
    return error


def _alternatives(model: LoadedModel, image: ImageInput) -> Iterator[tuple[str, object, ImageSpec, Layout]]:
    """Yield changes of one field that the signature allows: its name, its value, and the image spec and layout."""
    spec = image.image
    for layout in _layouts(model, spec, None):
        if layout != image.layout:
            yield "layout", layout, spec, layout
    for mode in CHANNELS:
        other = spec.model_copy(update={"mode": mode})
        if mode != spec.mode:
            yield from (("mode", mode, other, layout) for layout in _layouts(model, other, image.layout))
    for side in SIDES:
        other = spec.model_copy(update={"size": (side, side)})
        yield from (("size", [side, side], other, layout) for layout in _layouts(model, other, image.layout))


def _layouts(model: LoadedModel, image: ImageSpec, layout: Layout | None) -> tuple[Layout, ...]:
    try:
        return layouts(model.inputs[0], image, layout)
    except BadModel:
        return ()


def _runs(model: LoadedModel, image: ImageSpec, layout: Layout, dtype: PixelType) -> bool:
    """Return whether the graph runs on black images."""
    channels = CHANNELS[image.mode]
    preprocessing = Preprocessing(
        image=image, mean=(0.0,) * channels, std=(1.0,) * channels, layout=layout, dtype=dtype
    )
    rows = fixed_batch(model.inputs[0]) or 1
    try:
        model.session.run(None, {model.inputs[0].name: InputBuffer(preprocessing, rows).rows(rows)})
    except ORT_ERRORS:
        return False
    return True
