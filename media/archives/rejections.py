"""The only place that gathers the files of an archive that do not get into the data set, and why."""

from collections.abc import Iterable

from contract.datasets import Rejected

LISTED = 1000
_SHOWN_CHARACTERS = 200


def shown(name: str) -> str:
    """A client's name as it may be repeated to people: at most 200 characters, unprintable ones replaced."""
    text = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in name)
    return text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 1] + "…"


class Rejections:
    """Counts every rejected file, and lists the first ones by name, whatever the order they came in."""

    def __init__(self) -> None:
        self._count = 0
        self._listed: list[tuple[str, str]] = []

    def add(self, name: str, reason: str) -> None:
        self._count += 1
        self._listed.append((shown(name), reason))

    def merge(self, count: int, first: Iterable[Rejected]) -> None:
        """Add `count` files that were rejected elsewhere, of which the first are known."""
        self._count += count
        self._listed += [(rejected.file, rejected.reason) for rejected in first]

    def __len__(self) -> int:
        return self._count

    def first(self, count: int = LISTED) -> tuple[Rejected, ...]:
        return tuple(Rejected(file=file, reason=reason) for file, reason in sorted(self._listed)[:count])

    def summary(self) -> str:
        """The first three, as the end of an error message."""
        if not self._count:
            return ""
        return "; rejected: " + ", ".join(f"{shown.file!r} ({shown.reason})" for shown in self.first(3))
