"""The image files below paths that a person names, in order; and their hashes."""

import hashlib
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tidepool.cli.exits import WrongUsage

# Files in a folder with another extension are not sent; those without any are, as the content decides.
EXTENSIONS = {
    *("", ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".gif", ".webp", ".avif", ".heic", ".heif"),
    *(".tif", ".tiff", ".jp2", ".j2k", ".jpx", ".jpc", ".bmp", ".dib", ".pgm", ".ppm", ".pnm"),
}
CLUTTER = {"__macosx", "@eadir", "thumbs.db", "ehthumbs.db", "desktop.ini"}
MOST_SHOWN = 5  # extensions in a note
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")


@dataclass(frozen=True)
class ImageFiles:
    """`skipped` counts the files of folders that are not images by their extension."""

    paths: tuple[Path, ...]
    skipped: Counter[str]

    def note(self) -> str | None:
        """Return a sentence about the skipped files, None if there are none."""
        if not self.skipped:
            return None
        kinds = ", ".join(extension for extension, _ in self.skipped.most_common(MOST_SHOWN))
        count = self.skipped.total()
        files = (
            "1 file that is no image by its name"
            if count == 1
            else f"{count:,} files that are no images by their names"
        )
        return f"Skipped {files}: {kinds}"


def find_images(arguments: Sequence[Path]) -> ImageFiles:
    """Return the files in the order given; a folder stands for the images in it, at any depth, by name.

    Raises WrongUsage for a path that does not exist, and if there is no image at all.
    """
    missing = [path for path in arguments if not path.exists()]
    if missing:
        more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        raise WrongUsage(f"{missing[0]}{more} does not exist. Name image files, or a folder of them.")
    paths, skipped = [], Counter[str]()
    for argument in arguments:
        for path in _below(argument) if argument.is_dir() else [argument]:
            if path == argument or path.suffix.lower() in EXTENSIONS:
                paths.append(path)
            else:
                skipped[path.suffix.lower()] += 1
    if not paths:
        raise WrongUsage(f"There are no images in {', '.join(map(str, arguments))}.")
    return ImageFiles(tuple(paths), skipped)


def _below(folder: Path) -> Iterator[Path]:
    """Yield the files of a folder at any depth, without hidden ones and by-products of operating systems."""
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not _is_clutter(name))
        for name in sorted(names):
            path = Path(parent, name)
            if not _is_clutter(name) and path.is_file():
                yield path


def _is_clutter(name: str) -> bool:
    return name.startswith(".") or name.lower() in CLUTTER


def hash_of(image: str) -> str:
    """Return the SHA-256 that an argument is, or that of the file it names; raises WrongUsage."""
    if _SHA256.fullmatch(image):
        return image.lower()
    path = Path(image)
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise WrongUsage(f"{image} {what}. Name an image file, or the 64 hex digits of its SHA-256.")
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
