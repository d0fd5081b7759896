"""How images become arrays: configured for a dataset, repeated for every model trained on it."""

from typing import Annotated, Literal

from pydantic import Field

from contract.base import Frozen

Mode = Literal["RGB", "L"]
Resize = Literal["stretch", "crop", "pad"]
Side = Annotated[int, Field(strict=True, ge=1, le=1024)]

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
    """Converts uint8 pixels into a model's float32 input: `(pixel / 255 - mean) / std` per channel, NCHW."""

    image: ImageSpec
    mean: tuple[float, ...]
    std: tuple[float, ...]
