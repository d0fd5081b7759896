"""Names classes by the folders at one level, and counts those at each level."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Literal

from contract.labels import normalised_label
from media.archives.rejections import shown
from services.preprocess.warnings import Warnings, plural

ClassLevel = int | Literal["leaf"]
Key = tuple[str, ...]  # the folders from the first level to that of the class

_MOST_LEVELS = 5
_SEND_ONE = (
    "The first folders hold folders of the same names; if these are the classes, send one of the first folders alone. "
)


def key_at(folders: Iterable[str], level: ClassLevel) -> Key | None:
    """Return the folders down to the one that names the class, normalized, or None if there are too few."""
    names = tuple(map(normalised_label, folders))
    if not names or (level != "leaf" and len(names) < level):
        return None
    return names if level == "leaf" else names[:level]


def labels_of(keys: Iterable[Key]) -> dict[Key, str]:
    """Return the class of each key: the last folder, with those above it that tell it from others with its name."""
    by_name: dict[str, list[Key]] = defaultdict(list)
    for key in dict.fromkeys(keys):
        by_name[key[-1]].append(key)
    labels: dict[Key, str] = {}
    for alike in by_name.values():
        parts = 1
        while parts < max(map(len, alike)) and len({key[-parts:] for key in alike}) < len(alike):
            parts += 1
        labels |= {key: "/".join(key[-parts:]) for key in alike}
    return labels


def add_nested(folders: Mapping[Key, int], level: ClassLevel, warnings: Warnings) -> None:
    """Warn if images lie deeper than the class; `folders` counts them by their folders, from the first level on."""
    if level != 1:
        return
    deeper = {key: count for key, count in folders.items() if len(key) > 1 and set(key) != {key[0]}}
    if not deeper:
        return
    depth = min(max(map(len, deeper)), _MOST_LEVELS)
    counts = [len({key[:number] for key in folders if len(key) >= number}) for number in range(1, depth + 1)]
    levels = ", ".join(f"{count} at level {number}" for number, count in enumerate(counts, start=1))
    leaves = len(folders)
    warnings.add(
        "nested_class_folders",
        f"class folders have folders in them: there are {levels} and {leaves} that images lie in; the first level "
        f"names the {plural(counts[0], 'class', 'classes')}",
        ["/".join(map(shown, key)) for key in sorted(deeper)],
        _SEND_ONE
        * _are_equal(folders)
        + f'If another level names the classes, set layout.class_level to its number (1 to {depth}) or to "leaf", the '
        "folder that an image lies in.",
        sum(deeper.values()),
    )


def _are_equal(folders: Iterable[Key]) -> bool:
    """Return whether all first folders hold the same folders, as in `color/apple`, `color/pear`, `gray/apple`, …"""
    inside: dict[str, set[str]] = defaultdict(set)
    for key in folders:
        inside[key[0]].update(key[1:2])
    names = next(iter(inside.values()))
    return len(names) > 1 and len(inside) > 1 and all(others == names for others in inside.values())
