"""Collects warnings about a dataset, which is prepared all the same."""

from collections.abc import Iterable

from contract.datasets import DatasetWarning
from media.archives.listing import Ignored
from media.archives.names import HIDDEN_FOLDER
from media.archives.rejections import Rejections, shown
from services.preprocess.dataset_files import DatasetFiles

MOST_EXAMPLES = 10


class Warnings:
    """The warnings of one dataset, in the order in which they were added; that of ignored files is the last."""

    def __init__(self) -> None:
        self._warnings: list[DatasetWarning] = []
        self._ignored = Ignored()

    def add(self, code: str, message: str, examples: Iterable[str], advice: str, count: int | None = None) -> None:
        """Add a warning with the first examples; `count` is their number if it is not given; 0 adds no warning."""
        listed = list(examples)
        if count is None:
            count = len(listed)
        if count:
            first = tuple(map(shown, listed[:MOST_EXAMPLES]))
            self._warnings.append(
                DatasetWarning(code=code, message=message, count=count, examples=first, advice=advice)
            )

    def merge(self, warnings: Iterable[DatasetWarning]) -> None:
        """Add warnings collected elsewhere."""
        self._warnings += warnings

    def add_archive(self, archive: DatasetFiles) -> None:
        """Warn of the encoding that was detected for the names of an archive, and of files that it ignores."""
        self._ignored.merge(archive.ignored)
        if archive.detected_encoding:
            names = [name for name in archive.names if not name.isascii()]
            self.add_encoding(archive.detected_encoding, names)

    def add_hidden(self, rejections: Rejections) -> None:
        """Warn of files in folders whose names begin with a dot, which may be classes."""
        files = rejections.with_reason(HIDDEN_FOLDER)
        self.add(
            "hidden_folders",
            f"{plural(len(files), 'file is', 'files are')} in folders whose names begin with a dot and not used",
            files,
            "Rename the folders if they are classes; otherwise ignore this.",
        )

    def add_encoding(self, encoding: str, names: Iterable[str]) -> None:
        self.add(
            "encoding_detected",
            f"names or texts are not UTF-8 and were read as {encoding}, which fits them best",
            names,
            "If the names are wrong, say their encoding in layout.encoding, such as shift_jis, gbk, big5 or cp866.",
        )

    def ignore(self, name: str) -> None:
        """Count a file that is no part of the dataset."""
        self._ignored.add(name)

    @property
    def all(self) -> tuple[DatasetWarning, ...]:
        warnings = Warnings()
        ignored = self._ignored
        warnings.add(
            "ignored_files",
            f"{plural(ignored.count, 'file')} outside of the class folders {'was' if ignored.count == 1 else 'were'} "
            "ignored",
            ignored.examples,
            "Move images among them to a class folder; ignore this if there are none.",
            ignored.count,
        )
        return (*self._warnings, *warnings._warnings)


def plural(count: int, noun: str, plural: str | None = None) -> str:
    """Return a count with its noun, such as `1 image` or `2 classes`."""
    return f"{count} {noun if count == 1 else plural or noun + 's'}"
