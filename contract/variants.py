"""The files of one model version: the same network in several precisions."""

from typing import TYPE_CHECKING, Literal

from contract.artifacts import ObjectRef
from contract.base import Frozen, Whole

if TYPE_CHECKING:
    from contract.training import ModelManifest

VariantName = Literal["fp32", "fp16", "int8"]


class Variant(Frozen):
    """One file of a version, measured on the machine that made it.

    `accuracy` (0..1) is on images of the validation split, the same ones for every variant. It is None without such a
    split, and for a variant that is slower than fp32, because few images are spent on it. `agreement` is the share of
    images with the class that fp32 gives, and `parity_max_abs_diff` the
    largest difference of a logit, to fp32, or to PyTorch for fp32 itself. `images_per_second` has the options of
    serving: one thread, unless the environment says otherwise.
    """

    name: VariantName
    artifact: ObjectRef
    size: Whole
    accuracy: float | None
    agreement: float | None
    images_per_second: float
    parity_max_abs_diff: float | None = None


def artifact_of(manifest: "ModelManifest", variant: VariantName) -> ObjectRef | None:
    """Return the file of a variant, or None if the version does not have it; every version has fp32."""
    if variant == "fp32":
        return manifest.artifact
    return next((file.artifact for file in manifest.variants if file.name == variant), None)


def serving_artifact(manifest: "ModelManifest", pinned: VariantName | None = None) -> tuple[VariantName, ObjectRef]:
    """Return the variant that serves and its file: the pinned one, else the manifest's choice, else fp32.

    The manifests that the catalog returns have the pinned variant as their `serving`.
    """
    for variant in (pinned, manifest.serving):
        if variant is not None and (artifact := artifact_of(manifest, variant)) is not None:
            return variant, artifact
    return "fp32", manifest.artifact
