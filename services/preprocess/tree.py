"""The folders of an archive that may hold images."""

from collections import defaultdict
from collections.abc import ItemsView, Iterator, Mapping, Sequence, ValuesView
from dataclasses import dataclass
from functools import cached_property

from media.archives.names import IMAGES, is_document
from services.preprocess.split_names import is_annotations, is_unlabeled


@dataclass(frozen=True)
class Branches:
    """Where the folders below a top folder first branch: how deep, the folders on the way, and their names."""

    way: tuple[str, ...]
    names: frozenset[str]


class Subset(Mapping[str, str]):
    """Files of an archive, by their names in a folder of it, which are made when they are used.

    A dict would take 110 bytes more for each file.
    """

    def __init__(self, files: Sequence[str], outside: int = 0) -> None:
        """`files` are names in the archive, of which the first `outside` characters are the path of the folder."""
        self._files = files
        self._outside = outside

    @cached_property
    def _by_name(self) -> dict[str, str]:
        return {file[self._outside :]: file for file in self._files}

    def __getitem__(self, name: str) -> str:
        return self._by_name[name]

    def __iter__(self) -> Iterator[str]:
        return (file[self._outside :] for file in self._files)

    def __len__(self) -> int:
        return len(self._files)

    def items(self) -> ItemsView[str, str]:
        return _Items(self)

    def values(self) -> ValuesView[str]:
        return _Values(self)

    @property
    def files(self) -> Sequence[str]:
        return self._files


class _Items(ItemsView[str, str]):
    _mapping: Subset

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return zip(self._mapping, self._mapping.files, strict=True)


class _Values(ValuesView[str]):
    _mapping: Subset

    def __iter__(self) -> Iterator[str]:
        return iter(self._mapping.files)


class Tree:
    """The folders of files, by their names; `files` maps these to names in the archive."""

    def __init__(self, files: Mapping[str, str]) -> None:
        self.files = files

    @cached_property
    def paths(self) -> list[list[str]]:
        """Each folder that has files that may be images, once, as the names on its path."""
        folders: dict[str, None] = {}
        for name in self.files:
            folder = name.rpartition("/")[0]
            if folder not in folders and not is_document(name) and not _is_annotation(folder, name):
                folders[folder] = None
        return [folder.split("/") for folder in folders if folder]

    @cached_property
    def inside(self) -> dict[str, set[str]]:
        """The names of the folders directly in each top folder that is not one of unlabeled images."""
        inside: dict[str, set[str]] = defaultdict(set)
        for path in self.paths:
            if not is_unlabeled(path[0]):
                inside[path[0]].update(path[1:2])
        return dict(inside)

    @cached_property
    def below(self) -> dict[str, list[list[str]]]:
        """The paths in each top folder."""
        below: dict[str, list[list[str]]] = defaultdict(list)
        for path in self.paths:
            below[path[0]].append(path)
        return dict(below)

    @cached_property
    def branches(self) -> dict[str, Branches]:
        """Where the folders below each top folder branch, without those of unlabeled images."""
        return {top: _branches(self.below[top]) for top in self.inside}

    def without(self, tops: set[str]) -> Mapping[str, str]:
        """Return the files that are not in these top folders."""
        files = [file for name, file in self.files.items() if name.partition("/")[0] not in tops]
        return Subset(files, self._outside)

    def within(self, folder: str) -> Mapping[str, str]:
        """Return the files in a folder, by their names in it."""
        start = f"{folder}/"
        files = [file for name, file in self.files.items() if name.startswith(start)]
        return Subset(files, self._outside + len(start))

    @property
    def _outside(self) -> int:
        """The number of characters of the path to this tree, before each name."""
        name, file = next(iter(self.files.items()), ("", ""))
        return len(file) - len(name)


def _branches(paths: list[list[str]]) -> Branches:
    depth = 1
    while True:
        names = frozenset(path[depth] for path in paths if len(path) > depth)
        if len(names) != 1:
            return Branches(tuple(paths[0][1:depth]) if names else (), names)
        depth += 1


def _is_annotation(folder: str, name: str) -> bool:
    """Return whether a file without an extension lies in a folder of annotations, as in Stanford Dogs."""
    return any(map(is_annotations, folder.split("/"))) and not name.lower().endswith(IMAGES)
