"""Chooses the acceptable members of an archive by their names and kinds."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from media.archives import names
from media.archives.places import Place
from media.archives.rejections import Rejections

_MOST_EXAMPLES = 10


@dataclass(frozen=True, slots=True)
class Entry:
    """A member as its archive lists it: its name, and that before it was decoded and separators were replaced.

    `fault` is why its kind is rejected, if it is.
    """

    name: str
    stored: str
    place: Place
    is_folder: bool = False
    fault: str | None = None


@dataclass
class Ignored:
    """How many files of an archive are ignored, and some of them: one of each folder first."""

    count: int = 0
    by_folder: dict[str, str] = field(default_factory=dict)
    others: list[str] = field(default_factory=list)

    def add(self, name: str) -> None:
        self.count += 1
        self._show(name)

    def merge(self, ignored: "Ignored") -> None:
        self.count += ignored.count
        for name in ignored.examples:
            self._show(name)

    def _show(self, name: str) -> None:
        folder = "/".join(name.split("/", 2)[:2])
        if folder not in self.by_folder and len(self.by_folder) < _MOST_EXAMPLES:
            self.by_folder[folder] = name
        elif len(self.others) < _MOST_EXAMPLES:
            self.others.append(name)

    @property
    def examples(self) -> list[str]:
        return [*self.by_folder.values(), *self.others][:_MOST_EXAMPLES]


@dataclass(frozen=True)
class Listing:
    """The acceptable members by normalized name, what is ignored, and the encoding that was detected for names.

    `stored` has the original names of members whose normalized name differs.
    """

    places: dict[str, Place]
    stored: dict[str, str]
    ignored: Ignored
    encoding: str | None


def listed(entries: Iterable[Entry], encoding: str | None, rejections: Rejections) -> Listing:
    """Return the acceptable entries; add others to `rejections`, except folders and what is ignored."""
    places: dict[str, Place] = {}
    stored: dict[str, str] = {}
    ignored = Ignored()
    for entry in entries:
        name = names.clean(entry.name)
        if not name or entry.is_folder or entry.name.endswith("/"):
            continue
        if names.is_clutter(name):
            ignored.add(name)
        elif reason := names.fault(name) or entry.fault:
            rejections.add(name, reason)
        elif name in places:
            rejections.add(name, "a second file of this name")
        else:
            places[name] = entry.place
            if entry.stored != name:
                stored[name] = entry.stored
    return Listing(places, stored, ignored, encoding)
