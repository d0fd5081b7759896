"""The files of one model version: the same network in several precisions."""

from typing import Literal

from contract.artifacts import ObjectRef
from contract.base import Frozen, Whole

VariantName = Literal["fp32", "fp16", "int8"]


class Variant(Frozen):
    """One file of a version, measured on the machine that made it.

    `accuracy` (0..1) is on the validation split; `agreement` is the share of images with the class that fp32 gives.
    """

    name: VariantName
    artifact: ObjectRef
    size: Whole
    accuracy: float | None
    agreement: float | None
    images_per_second: float
    parity_max_abs_diff: float | None = None
