"""The rows of the benchmark: which data set is trained in which way, and the target of each."""

from dataclasses import dataclass, field
from fnmatch import fnmatch
from typing import Any, Literal

from benchmarks.training.datasets import DATA_SETS

Measure = Literal["train", "keras", "overhead", "served"]

AUTO: dict[str, Any] = {}
TINY = {"size": [32, 32], "mode": "RGB", "resize": "stretch"}  # what release 0.1 made of every data set
NOTHING, FROM_SCRATCH = "nothing given", "cnn at 32×32, as release 0.1"
RELEASE_0_1 = {"architecture": {"name": "cnn"}, "class_weights": "none"}
CLASSIC = {
    "architecture": {"name": "mlp"},
    "epochs": 10,
    "batch_size": 32,
    "optimizer": {"name": "adam", "lr": 1e-3},
    "schedule": "constant",
    "augment": False,
    "label_smoothing": 0.0,
}
LOOP = {
    "architecture": {"name": "cnn"},
    "epochs": 6,
    "schedule": "constant",
    "augment": False,
    "label_smoothing": 0.0,
}
SCALE = LOOP | {"epochs": 1}
SMALL = (
    "digits",
    "letters",
    "letters-imbalanced",
    "shapes",
    "shapes-tiny",
    "textures",
    "scans",
    "hands",
    "clothing-tiny",
    "cifar-sample",
)


class UnknownRow(Exception):
    """There is no such row; the message is for people."""


@dataclass(frozen=True)
class Row:
    """A way to train a data set; `image` and `spec` are those of the requests.

    `least` percent of the test images are to be right after `most_s` seconds with preparation. A row that `follows`
    has the seconds of another row's training as its budget. A row that runs `once` has no other seeds.
    """

    name: str
    group: str
    dataset: str
    way: str
    spec: dict[str, Any] = field(default_factory=dict)
    image: dict[str, Any] = field(default_factory=dict)
    measure: Measure = "train"
    least: float | None = None
    most_s: float | None = None
    follows: str | None = None
    once: bool = False


def _pair(dataset: str, group: str, **targets: float) -> tuple[Row, Row]:
    return (
        Row(dataset, group, dataset, NOTHING, **targets),  # type: ignore[arg-type]
        Row(f"{dataset}-default", group, dataset, FROM_SCRATCH, RELEASE_0_1, TINY),
    )


def _budget(dataset: str, least: float) -> Row:
    spec = {"budget": {"minutes": 10}}
    return Row(f"{dataset}-10min", "budgets", dataset, "a budget of 10 minutes", spec, least=least, most_s=660)


ROWS: tuple[Row, ...] = (
    *(row for dataset in SMALL for row in _pair(dataset, "small")),
    Row("keras", "classic", "cifar", "the classic example in Keras", CLASSIC, TINY, "keras"),
    Row("classic", "classic", "cifar", "the classic example", CLASSIC, TINY),
    Row("classic-overhead", "classic", "cifar", "the classic example", CLASSIC, TINY, "overhead", once=True),
    Row("cnn-overhead", "classic", "cifar-sample", "the small CNN", LOOP, TINY, "overhead", once=True),
    Row("cifar-as-keras", "classic", "cifar", "Keras's time as the budget", least=75, follows="keras"),
    Row("cifar", "classic", "cifar", NOTHING),
    *_pair("clothing", "clothing", least=88, most_s=60),
    Row("clothing-served", "clothing", "clothing", "upload to prediction, on a stack", measure="served"),
    _budget("cifar", 88),
    _budget("clothing", 90),
    Row("cifar-default", "budgets", "cifar", FROM_SCRATCH, RELEASE_0_1, TINY),
    *(
        Row(name, "scale", name, "the small CNN, one epoch", SCALE, TINY, once=True)
        for name in DATA_SETS
        if name.startswith("scale-")
    ),
)
GROUPS = tuple(dict.fromkeys(row.group for row in ROWS))


def selected(names: list[str] | None) -> list[Row]:
    """Return the rows that are named by row, group or pattern, and the rows that they follow; None is all rows.

    Raises UnknownRow if a name is of no row.
    """
    chosen = list(ROWS)
    if names is not None:
        by_name = {name: [row for row in ROWS if name == row.group or fnmatch(row.name, name)] for name in names}
        if unknown := [name for name, rows in by_name.items() if not rows]:
            raise UnknownRow(f"there is no row or group {', '.join(unknown)}; --list shows them")
        chosen = [row for rows in by_name.values() for row in rows]
    followed = {row.follows for row in chosen}
    return [row for row in ROWS if row in chosen or row.name in followed]
