"""Preprocess: turn an uploaded archive into the next version of a dataset."""

import encodings
from encodings import normalize_encoding
from encodings.aliases import aliases
from pkgutil import iter_modules
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from contract.base import Frozen, Name, Whole
from contract.choices import Choice
from contract.datasets import Counts, DatasetManifest, DatasetWarning, Label, Level, SplitSpec
from contract.images import ImageRequest
from contract.kinds.kind import JobSpec, Kind, KindRequest, Subject
from contract.kinds.registry import register
from contract.references import DatasetSource, Reference, ReferenceText

Column = Annotated[str, Field(min_length=1, max_length=128)]


_SLOW = {"idna", "punycode"}  # take a time that grows with the square of the length
# Python remembers each other name that it is asked for.
_ENCODINGS = {*aliases, *aliases.values(), *(module.name for module in iter_modules(encodings.__path__))} - _SLOW


def _known_encoding(name: str) -> str:
    """Check that Python knows the encoding, and that it is a superset of ASCII, as those of file names are."""
    plain, escapes = "az09/._", b"+AEE-\\u0041"
    try:
        if (
            normalize_encoding(name.lower()) in _ENCODINGS
            and plain.encode(name) == plain.encode()
            and len(escapes.decode(name)) == len(escapes)
        ):
            return name
    except (LookupError, ValueError):
        pass
    raise ValueError("is not a known encoding of file names; name one such as shift_jis, big5, gbk, cp949 or cp866")


class LayoutSpec(Frozen):
    """How to read an archive where its layout can be read in several ways.

    `class_level` is the folder that names the class: 1 is the first one below the split folder, `leaf` the folder that
    the image lies in. `encoding` is that of file names that are not UTF-8, such as `shift_jis` or `big5`.
    `path_column` and `label_column` are the columns of a manifest that name the file and its class, if they have no
    usual names.
    """

    class_level: Level | Literal["leaf"] = 1
    encoding: Annotated[str, Field(min_length=1, max_length=32), AfterValidator(_known_encoding)] | None = None
    path_column: Column | None = None
    label_column: Column | None = None


class PreprocessSpec(JobSpec):
    """Turn an uploaded archive, or the objects below a prefix, into the next version of a dataset.

    `strict` rejects images that are cut off near their end, which are otherwise repaired and counted in a warning.
    """

    dataset: Name
    source: DatasetSource
    image: ImageRequest = ImageRequest()
    split: SplitSpec = SplitSpec()
    layout: LayoutSpec = LayoutSpec()
    strict: Annotated[bool, Field(strict=True)] = False

    @property
    def subject(self) -> Subject:
        return Subject(dataset=self.dataset)


class PreprocessRequest(KindRequest):
    kind: Literal["preprocess"]
    spec: PreprocessSpec


class PreprocessResult(Frozen):
    dataset: ReferenceText
    classes: tuple[Label, ...]
    counts: Counts
    rejected: Whole
    shape: tuple[int, int, int] = Field(description="(channels, height, width)")
    warnings: tuple[DatasetWarning, ...] = ()
    decisions: tuple[Choice, ...] = ()

    @classmethod
    def of(cls, reference: Reference, manifest: DatasetManifest) -> "PreprocessResult":
        return cls(
            dataset=str(reference),
            classes=manifest.classes,
            counts=manifest.counts,
            rejected=manifest.rejected,
            shape=manifest.image.shape,
            warnings=manifest.warnings,
            decisions=manifest.decisions,
        )


register(
    Kind(
        name="preprocess",
        pool="preprocess",
        request=PreprocessRequest,
        outcome=DatasetManifest,
        examples={
            "preprocess": {
                "summary": "Prepare an archive that was uploaded through a presigned URL",
                "value": {
                    "kind": "preprocess",
                    "spec": {
                        "dataset": "cifar10",
                        "source": {"upload": "01a20c69-671c-75b4-9e31-a6c00b050a58"},
                        "image": {"size": [32, 32], "mode": "RGB", "resize": "crop"},
                    },
                },
            },
        },
    )
)
