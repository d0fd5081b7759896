"""Where a model version comes from and where it serves, as boxes and lines of an SVG."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from contract.references import Reference
from contract.training import BACKBONE_NAMES
from services.gateway.console.formats import segment
from services.storage.screens.model_version import VersionDetails

BOX, GAP, LEFT = 158, 34, 1  # widths
HEIGHT, SPACE, TOP = 50, 16, 1
LONGEST = 19  # characters of a line


class Box(NamedTuple):
    """A box with two lines of text; `address` is "" if it is no link."""

    column: int
    x: float
    y: float
    kind: str
    text: str
    full: str
    address: str
    current: bool


class Graph(NamedTuple):
    """Boxes, the lines between them as SVG paths, and the size."""

    boxes: tuple[Box, ...]
    paths: tuple[str, ...]
    width: float
    height: float
    sentence: str
    box_width: int = BOX


@dataclass(frozen=True)
class _Node:
    kind: str
    text: str
    address: str = ""
    current: bool = False


def lineage_of(details: VersionDetails) -> Graph:
    """Return the graph: source, dataset and start, training, version, and the aliases that send it requests."""
    reference, manifest = details.reference, details.manifest
    sources, inputs = list[_Node](), list[_Node]()
    if details.origin is not None:
        if details.origin.source:
            sources.append(_Node("source", details.origin.source, f"/jobs/{details.origin.job}"))
        inputs.append(_Node("dataset", details.origin.reference, _address("datasets", details.origin.reference)))
    elif manifest is not None and manifest.dataset:
        inputs.append(_Node("dataset, deleted", manifest.dataset))
    start = manifest.lineage.parent if manifest is not None and manifest.lineage is not None else None
    if start is not None:
        built_in = start.partition("@")[0] in BACKBONE_NAMES or "@" not in start
        inputs.append(_Node("started from", start, "" if built_in else _address("models", start)))
    kind = "training" if manifest is not None and manifest.dataset else "upload"
    version = _Node("version", str(reference), current=True)
    aliases = [
        _Node(
            f"{_share(alias.versions.get(reference.version or 0))}", alias.alias, f"/serving/{segment(reference.name)}"
        )
        for alias in details.aliases
        if reference.version in alias.versions or alias.shadow == reference.version
    ]
    columns = [sources, inputs, [_Node(kind, details.job[-8:], f"/jobs/{details.job}")], [version], aliases]
    return _laid_out([column for column in columns if column], str(reference))


def _laid_out(columns: Sequence[Sequence[_Node]], name: str) -> Graph:
    tallest = max(map(len, columns))
    height = tallest * HEIGHT + (tallest - 1) * SPACE
    boxes = list[Box]()
    for number, column in enumerate(columns):
        own = len(column) * HEIGHT + (len(column) - 1) * SPACE
        for place, node in enumerate(column):
            x, y = LEFT + number * (BOX + GAP), TOP + (height - own) / 2 + place * (HEIGHT + SPACE)
            boxes.append(Box(number, x, y, node.kind, _short(node.text), node.text, node.address, node.current))
    paths = [
        _curve(before, after)
        for after in boxes
        for before in boxes
        if before.column == after.column - 1 and (before.kind != "source" or after.kind == "dataset")
    ]
    texts = ", then ".join(" and ".join(f"{node.kind} {node.text}" for node in column) for column in columns)
    width = len(columns) * BOX + (len(columns) - 1) * GAP + 2 * LEFT
    return Graph(tuple(boxes), tuple(paths), width, height + 2 * TOP, f"Lineage of {name}: {texts}")


def _curve(before: Box, after: Box) -> str:
    x1, y1, x2, y2 = before.x + BOX, before.y + HEIGHT / 2, after.x, after.y + HEIGHT / 2
    middle = (x1 + x2) / 2
    return f"M{x1:g} {y1:g}C{middle:g} {y1:g} {middle:g} {y2:g} {x2:g} {y2:g}"


def _address(noun: str, text: str) -> str:
    reference = Reference.parse(text)
    tail = f"/{reference.version}" if reference.version else ""
    return f"/{noun}/{segment(reference.name)}{tail}"


def _share(percent: int | None) -> str:
    return "shadow" if percent is None else f"{percent} % of"


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
