"""Counts what model versions answer and what images look like, to notice drift; keeps no image."""

import random
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import NamedTuple

import numpy as np
import structlog
from numpy.typing import NDArray

from contract.drift import DriftCounts, NumberStatistic
from contract.errors import BadImage, Conflict, NotFound, TidepoolError
from contract.inference import Answer, Scores, Target
from media.drift.counting import bin_counts
from media.drift.images import measure
from media.headers import read_header

WRITE_S = 30.0  # a killed replica loses at most this much
# An image is measured if MEASURE_S have passed since the last one, and also MEASURE_EVERY images or MEASURE_LONGEST_S.
MEASURE_S = 0.05
MEASURE_EVERY = 100
MEASURE_LONGEST_S = 1.0
PENDING = 4096  # answers of a version that are kept one by one
MOST_ENTRIES = 2_000  # versions and days that are kept while the database is away

log = structlog.get_logger()


class Version(NamedTuple):
    """A version of a model in a project."""

    project: str
    model: str
    number: int


class Image(NamedTuple):
    """What was measured of one image; `sharpness`, `width` and `height` are logarithms to base 2."""

    brightness: float
    sharpness: float
    width: float
    height: float


IMAGE_STATISTICS: tuple[NumberStatistic, ...] = ("brightness", "sharpness", "width", "height")  # as in Image

Write = Callable[[Version, date, DriftCounts], None]


class DriftCounting:
    """Counts answers and measures some images, by version and day; thread-safe.

    One image a second is measured, and of more of them one in a hundred, up to 20 a second. What cannot be written
    stays for the next time, up to MOST_ENTRIES; nothing here fails a prediction.
    """

    def __init__(self, write: Write, today: Callable[[], date], clock: Callable[[], float] = time.monotonic) -> None:
        """`write` adds counts to the database; raises Conflict, NotFound or DatabaseUnavailable."""
        self._write = write
        self._today = today
        self._clock = clock
        self._measured_at, self._seen = -MEASURE_LONGEST_S, 0
        self._answers: dict[Version, list[tuple[str, float]]] = defaultdict(list)
        self._images: dict[Version, list[Image]] = defaultdict(list)
        self._unwritten: dict[tuple[Version, date], DriftCounts] = {}
        self._lock = threading.Lock()
        self._writing = threading.Lock()

    def count(
        self, target: Target, answers: Sequence[Answer], files: Sequence[bytes], decoded: Sequence[object]
    ) -> None:
        """Count the best class of each answer to the images `files`; `decoded` are their prepared pixels, if any."""
        version = Version(target.project, target.model, target.version)
        best = [answer.best[0] for answer in answers if type(answer) is Scores]
        image = self._measured(files, decoded) if self._is_due(len(files)) else None
        with self._lock:
            pending = self._answers[version]
            pending += best
            if image is not None:
                self._images[version].append(image)
            if len(pending) >= PENDING:
                self._sum_up(version)

    def start(self) -> None:
        """Write every WRITE_S seconds from a daemon thread."""
        threading.Thread(target=self._run, name="drift", daemon=True).start()

    def write(self) -> None:
        """Write what was counted; during an outage of the database it is kept for the next time."""
        with self._writing:
            with self._lock:
                for version in {*self._answers, *self._images}:
                    self._sum_up(version)
                self._answers.clear()
                self._images.clear()
                counted, self._unwritten = self._unwritten, {}
            try:
                self._write_all(counted)
            finally:
                self._keep(counted)

    def _write_all(self, counted: dict[tuple[Version, date], DriftCounts]) -> None:
        """Write and remove entries, until the database does not answer; entries that cannot be written stay."""
        for (version, day), counts in list(counted.items()):
            try:
                self._write(version, day, counts)
            except NotFound:
                pass  # it was deleted, and its counts with it
            except Conflict:
                continue  # another replica was faster
            except TidepoolError as error:
                log.info("drift counts not written yet", code=error.code)
                return  # the others would wait for the database, too
            except Exception:
                log.exception("drift counts not written", project=version.project, model=version.model)
                continue
            del counted[version, day]

    def _is_due(self, images: int) -> bool:
        """Return whether one of these images is to be measured."""
        now, self._seen = self._clock(), self._seen + images
        passed = now - self._measured_at
        if passed < MEASURE_S or (self._seen < MEASURE_EVERY and passed < MEASURE_LONGEST_S):
            return False
        self._measured_at, self._seen = now, 0
        return True

    def _measured(self, files: Sequence[bytes], decoded: Sequence[object]) -> Image | None:
        """Measure one of the images that were decoded."""
        index = random.randrange(len(files))  # noqa: S311  no secret
        pixels = decoded[index]
        if not isinstance(pixels, np.ndarray):
            return None
        try:
            return _image(pixels, files[index])
        except BadImage:  # its header
            return None

    def _sum_up(self, version: Version) -> None:
        """Add what is pending of a version to what is not written; the caller has the lock."""
        counts = _counts(self._answers.pop(version, []), self._images.pop(version, []))
        if counts is not None:
            self._add(version, self._today(), counts)

    def _keep(self, unwritten: Mapping[tuple[Version, date], DriftCounts]) -> None:
        with self._lock:
            for (version, day), counts in unwritten.items():
                self._add(version, day, counts)

    def _add(self, version: Version, day: date, counts: DriftCounts) -> None:
        stored = self._unwritten.get((version, day))
        if stored is not None:
            self._unwritten[version, day] = stored + counts
        elif len(self._unwritten) < MOST_ENTRIES:
            self._unwritten[version, day] = counts

    def _run(self) -> None:
        while True:
            time.sleep(WRITE_S)
            try:
                self.write()
            except Exception:  # the next time may succeed
                log.exception("drift counts not written")


def _image(pixels: NDArray[np.uint8], file: bytes) -> Image:
    header = read_header(file)
    measured = measure(pixels[np.newaxis])
    sides = np.log2((header.width, header.height)).tolist()
    return Image(float(measured.brightness[0]), float(measured.sharpness[0]), *sides)


def _counts(answers: Sequence[tuple[str, float]], images: Sequence[Image]) -> DriftCounts | None:
    if not answers and not images:
        return None
    scores = np.array([score for _, score in answers], np.float64)
    columns = zip(IMAGE_STATISTICS, np.array(images, np.float64).T, strict=True) if images else ()
    measured = {statistic: bin_counts(statistic, column) for statistic, column in columns}
    return DriftCounts(
        classes=Counter(label for label, _ in answers),
        confidence=bin_counts("confidence", scores),
        confidence_sum=float(scores.sum()),
        **measured,
    )
