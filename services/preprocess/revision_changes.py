"""What a revision changes: by the hashes of images, then by the rows of the parent's index."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import pyarrow as pa
import pyarrow.compute as pc

from contract.artifacts import ObjectRef
from contract.datasets import Split, TestSplit
from contract.errors import BadDataset, Invalid
from contract.labels import checked_label
from contract.revisions import ImageChange
from media.archives.rejections import shown

MOST_SHOWN = 3  # hashes in a message


@dataclass(frozen=True)
class Addition:
    """An image to add: its stored file, and its name in the dataset, without an extension before it is packed."""

    file: ObjectRef
    name: str
    label: str


@dataclass
class Changes:
    """The images to change, by SHA-256 in hexadecimal digits: a label, or None to remove the image.

    Each change replaces an earlier one of the same image. `additions` are images to add, `required` images must be in
    the parent. `reviews` are the answers by image and id, `newer` are images of versions that are newer than the
    parent; `unmatched` rows of a file of labels name no image.
    """

    labels: dict[str, str | None] = field(default_factory=dict)
    additions: dict[str, Addition] = field(default_factory=dict)
    required: set[str] = field(default_factory=set)
    reviews: dict[str, dict[str, str | None]] = field(default_factory=dict)
    newer: set[str] = field(default_factory=set)
    unmatched: int = 0

    def add(self, changes: Iterable[ImageChange]) -> None:
        """Add what a person has asked for."""
        for change in changes:
            self.set(change.sha256, None if change.remove else change.label)
            self.required.add(change.sha256)

    def set(self, sha256: str, label: str | None) -> None:
        """Change an image; raise BadDataset for a label that cannot be one."""
        try:
            checked = self.labels[sha256] = None if label is None else checked_label(label)
        except ValueError as fault:
            raise BadDataset(f"{shown(str(label))!r} cannot be a label: {fault}") from None
        if checked is None:
            self.additions.pop(sha256, None)
        elif sha256 in self.additions:
            self.additions[sha256] = replace(self.additions[sha256], label=checked)

    def applied(self, delta: "Delta") -> dict[str, str | None]:
        """Return the answers by id that a version with these rows has; those of held back images wait."""
        waiting = delta.held | (delta.missing & self.newer)
        applied: dict[str, str | None] = {}
        for sha256, answers in self.reviews.items():
            if sha256 not in waiting:
                applied |= answers
        return applied


@dataclass(frozen=True)
class Delta:
    """Changes of a version's rows: new labels by number of the row, and the rows to remove.

    `held_back` are images of the frozen test split that a change names, `held` their hashes if no other row has them;
    `missing` are hashes that the version lacks.
    """

    labels: dict[int, str]
    removed: list[int]
    held_back: int
    held: frozenset[str]
    missing: frozenset[str]


def delta_of(index: pa.Table, labels: Mapping[str, str | None], test_split: TestSplit) -> Delta:
    """Return what changes in an index; the rows of a frozen test split do not."""
    new: dict[int, str] = {}
    removed: list[int] = []
    held: list[str] = []
    open_rows, present = set[str](), set[str]()
    for row, sha256, split, label in _rows(index, labels):
        present.add(sha256)
        change = labels[sha256]
        if change == label:
            open_rows.add(sha256)  # it has the label already
        elif split is Split.TEST and test_split == "frozen":
            held.append(sha256)
        else:
            open_rows.add(sha256)
            if change is None:
                removed.append(row)
            else:
                new[row] = change
    return Delta(new, removed, len(held), frozenset(held) - open_rows, frozenset(labels) - present)


def require(changes: Changes, delta: Delta) -> None:
    """Raise Invalid if an image that a person has named is not in the parent, or in its frozen test split."""
    if unknown := sorted(changes.required & delta.missing - changes.additions.keys()):
        raise Invalid(f"{_named(unknown)} not in the parent; list its images to see their hashes")
    if held := sorted(changes.required & delta.held):
        raise Invalid(f'{_named(held)} in the test split, which is frozen; set test_split to "open" to change it')


def _named(hashes: list[str]) -> str:
    first = ", ".join(hashes[:MOST_SHOWN]) + (
        f" and {len(hashes) - MOST_SHOWN} more" if len(hashes) > MOST_SHOWN else ""
    )
    return f"the image {first} is" if len(hashes) == 1 else f"the images {first} are"


def _rows(index: pa.Table, labels: Mapping[str, str | None]) -> Iterator[tuple[int, str, Split, str]]:
    """Yield the number, hash, split and label of the rows of some images."""
    kind = pa.binary(32)
    hashes = pa.array([bytes.fromhex(sha256) for sha256 in labels], kind)
    numbers = pc.indices_nonzero(pc.is_in(index["sha256"], value_set=hashes))
    rows = index.select(["sha256", "split", "label"]).take(numbers).to_pylist()
    for number, row in zip(numbers.to_pylist(), rows, strict=True):
        yield number, row["sha256"].hex(), Split(row["split"]), row["label"]
