"""Collects the rejected files of an archive with reasons."""

from collections.abc import Iterable

from contract.datasets import Rejected

LISTED = 1000
_SHOWN_CHARACTERS = 200


def shown(name: str) -> str:
    """Return a client's file name for display: at most 200 characters, unprintable ones replaced."""
    text = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in name)
    return text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 1] + "…"


class Rejections:
    """Counts all rejected files and lists the first ones by name, independent of insertion order."""

    def __init__(self) -> None:
        self._count = 0
        self._listed: list[tuple[str, str]] = []

    def add(self, name: str, reason: str) -> None:
        self._count += 1
        self._listed.append((shown(name), reason))

    def merge(self, count: int, first: Iterable[Rejected]) -> None:
        """Add `count` rejections collected elsewhere; `first` are the listed ones."""
        self._count += count
        self._listed += [(rejected.file, rejected.reason) for rejected in first]

    def __len__(self) -> int:
        return self._count

    def first(self, count: int = LISTED) -> tuple[Rejected, ...]:
        return tuple(Rejected(file=file, reason=reason) for file, reason in sorted(self._listed)[:count])

    def with_reason(self, reason: str) -> list[str]:
        """Return the files that are rejected for a reason."""
        return sorted(file for file, other in self._listed if other == reason)

    def summary(self) -> str:
        """Return the first three as the end of an error message."""
        if not self._count:
            return ""
        return "; rejected: " + ", ".join(f"{rejected.file!r} ({rejected.reason})" for rejected in self.first(3))
