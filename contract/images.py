"""How images become arrays: configured for a dataset, repeated for every model trained on it."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from contract.base import Frozen

Mode = Literal["RGB", "L"]
Resize = Literal["stretch", "crop", "pad"]
Side = Annotated[int, Field(strict=True, ge=1, le=1024)]

Layout = Literal["NCHW", "NHWC", "NHW"]  # of a batch of images; NHW is for one channel
PixelType = Literal["float32", "float16", "float64", "uint8"]


def _no_boolean(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("must be 1 or 255")
    return value


Scale = Annotated[Literal[1, 255], BeforeValidator(_no_boolean)]  # True equals 1, so a Literal accepts it

CHANNELS: dict[Mode, int] = {"RGB": 3, "L": 1}


class ImageSpec(Frozen):
    """The size, mode and resize method that every image is normalized to."""

    size: tuple[Side, Side] = Field(default=(32, 32), description="Height and width in pixels.")
    mode: Mode = "RGB"
    resize: Resize = Field(
        default="stretch",
        description="`stretch` ignores the aspect ratio; `crop` fills and cuts the middle; `pad` fits and adds black.",
    )

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width)."""
        return (CHANNELS[self.mode], *self.size)

    def __str__(self) -> str:
        height, width = self.size
        return f"{height}×{width} {self.mode} ({self.resize})"


class ImageRequest(Frozen):
    """How a person wants a dataset's images; `auto` lets preprocessing decide from the images, and say why."""

    size: tuple[Side, Side] | Literal["auto"] = Field(default="auto", description="Height and width in pixels.")
    mode: Mode | Literal["auto"] = "auto"
    resize: Resize | Literal["auto"] = Field(
        default="auto",
        description="`stretch` ignores the aspect ratio; `crop` fills and cuts the middle; `pad` fits and adds black.",
    )

    @property
    def spec(self) -> ImageSpec | None:
        """The image spec if nothing is left to decide."""
        if self.size == "auto" or self.mode == "auto" or self.resize == "auto":
            return None
        return ImageSpec(size=self.size, mode=self.mode, resize=self.resize)


class Preprocessing(Frozen):
    """Converts uint8 pixels into a model's input: `(pixel * scale / 255 - mean) / std` per channel.

    `mean` and `std` are those of pixels in 0..`scale`. `layout` and `dtype` are those of the graph's input; uint8 takes
    pixels unchanged, which is mean 0, std 1 and scale 255.
    """

    image: ImageSpec
    mean: tuple[float, ...]
    std: tuple[float, ...]
    scale: Scale = 1
    layout: Layout = "NCHW"
    dtype: PixelType = "float32"


def statistics_error(mean: Sequence[float], std: Sequence[float], scale: Scale) -> str | None:
    """Return why `mean` and `std` cannot be those of pixels in 0..`scale`, or None if they can.

    Mean 0 and std 1 leave pixels unchanged at either scale.
    """
    if scale == 1 and (max(map(abs, mean)) > 1 or max(std) > 1):
        return 'mean and std are those of pixels in 0..1; for values of 0..255 add "scale": 255, or divide them by 255'
    if scale == 255 and max(std) < 1:
        return 'mean and std are those of pixels in 0..255 with "scale": 255; for values of 0..1 leave scale out'
    return None
