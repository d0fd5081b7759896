"""References: `name`, `name@7` or `name@alias`, and the fields of a spec that hold them."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Literal, Self, TypeVar

from pydantic import Discriminator, Field, StringConstraints, Tag

from contract.base import NAME_PATTERN, Frozen, Name, Version
from contract.errors import Invalid

_NAME = NAME_PATTERN.strip("^$")
REFERENCE_PATTERN = rf"^{_NAME}(@{_NAME})?$"

ReferenceText = Annotated[str, StringConstraints(pattern=REFERENCE_PATTERN)]
Noun = Literal["dataset", "model", "start", "upload"]  # a start is a model or a backbone


@dataclass(frozen=True)
class RefersTo:
    """Marks an `Annotated` field as a reference to a stored dataset, model, backbone or upload.

    `built_in` are values that refer to nothing stored.
    """

    noun: Noun
    built_in: tuple[str, ...] = ()


DatasetReference = Annotated[ReferenceText, RefersTo("dataset")]
ModelReference = Annotated[ReferenceText, RefersTo("model")]
UploadId = Annotated[str, Field(min_length=1, max_length=64), RefersTo("upload")]


class Reference(Frozen):
    """A parsed reference; without version and alias it means the newest version."""

    name: Name
    version: Version | None = None
    alias: Name | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `name`, `name@version` or `name@alias`; raises Invalid."""
        if not re.fullmatch(REFERENCE_PATTERN, text):
            raise Invalid(f"{text[:80]!r} is not a reference; write name, name@version or name@alias")
        name, _, which = text.partition("@")
        if not which:
            return cls(name=name)
        if not which.isdecimal():
            return cls(name=name, alias=which)
        if not 1 <= int(which) <= 2**31 - 1:
            raise Invalid(f"{text!r} names no version; versions count from 1")
        return cls(name=name, version=int(which))

    def __str__(self) -> str:
        which = self.version or self.alias
        return f"{self.name}@{which}" if which else self.name


Model = TypeVar("Model", bound=Frozen)


def references_in(value: Frozen) -> Iterator[tuple[Noun, str]]:
    """Yield the references in the marked fields of a model and its nested models; does not search tuples and dicts."""
    for name, field in type(value).model_fields.items():
        child = getattr(value, name)
        marks = [mark for mark in field.metadata if isinstance(mark, RefersTo)]
        if marks and child is not None and child not in marks[0].built_in:
            yield marks[0].noun, child
        elif isinstance(child, Frozen):
            yield from references_in(child)


def with_references(value: Model, replacements: Mapping[tuple[Noun, str], str]) -> Model:
    """Return a copy of the model in which references are replaced by their replacements, if they have any."""
    changes: dict[str, object] = {}
    for name, field in type(value).model_fields.items():
        child = getattr(value, name)
        marks = [mark for mark in field.metadata if isinstance(mark, RefersTo)]
        if marks and child is not None:
            changes[name] = replacements.get((marks[0].noun, child), child)
        elif isinstance(child, Frozen):
            changes[name] = with_references(child, replacements)
    return value.model_copy(update={name: new for name, new in changes.items() if new != getattr(value, name)})


class UploadSource(Frozen):
    """An uploaded file as the source of a job."""

    upload: UploadId


class S3Source(Frozen):
    """The objects below a prefix of a bucket as the source of a job, if the operator allows it.

    The setting TIDEPOOL_S3_SOURCES has the buckets, and the address and keys of their object store.
    """

    s3: Annotated[str, StringConstraints(pattern=r"^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/.*)?$", max_length=1100)]

    @property
    def bucket(self) -> str:
        return self.s3.removeprefix("s3://").partition("/")[0]

    @property
    def prefix(self) -> str:
        """The folder below which the objects lie, without slashes at its ends."""
        return self.s3.removeprefix("s3://").partition("/")[2].strip("/")


def _source_tag(value: object) -> str | None:
    fields = value if isinstance(value, dict) else vars(value) if isinstance(value, Frozen) else {}
    return next((tag for tag in ("upload", "s3") if tag in fields), None)


DatasetSource = Annotated[
    Annotated[UploadSource, Tag("upload")] | Annotated[S3Source, Tag("s3")],
    Discriminator(
        _source_tag,
        custom_error_type="unknown_source",
        custom_error_message="must name an upload or an s3 prefix",
    ),
]
