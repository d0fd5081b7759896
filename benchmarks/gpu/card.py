"""The GPU through NVML: its name, and samples of its utilization and memory while the steps run."""

import threading
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Any, NamedTuple, Self

from services.inference.engine.hardware import gpus

EVERY_S = 0.1


@dataclass(frozen=True)
class Card:
    """The first GPU."""

    name: str
    driver: str
    memory_bytes: int
    count: int


class Sample(NamedTuple):
    """At Unix time `at`: the share of the last period in which a kernel ran, None if it is not told; used memory."""

    at: float
    busy: float | None
    used_bytes: int


@dataclass(frozen=True)
class Usage:
    """Of a span of time; None without samples, as on a MIG instance for `busy`."""

    busy: float | None
    most_busy: float | None
    peak_bytes: int | None


def card_of(nvml: Any) -> Card | None:
    """Return the first GPU, or None if there is no driver or no GPU."""
    driver, cards = gpus(nvml)
    if driver is None or not cards:
        return None
    return Card(cards[0]["name"], driver, cards[0]["memory_bytes"], len(cards))


class Sampler:
    """Samples the first GPU in a thread, between entering and leaving; without a card it has no samples."""

    def __init__(self, nvml: Any, card: Card | None) -> None:
        self._nvml = nvml
        self._card = card
        self._samples: list[Sample] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        if self._card is not None:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        if self._thread.is_alive():
            self._thread.join(2)

    def usage(self, start: float, end: float) -> Usage:
        """Return what the samples between two Unix times say."""
        samples = [sample for sample in self._samples if start <= sample.at <= end]
        busy = [sample.busy for sample in samples if sample.busy is not None]
        peak = max((sample.used_bytes for sample in samples), default=None)
        return Usage(sum(busy) / len(busy) if busy else None, max(busy, default=None), peak)

    def _run(self) -> None:
        device = self._nvml.nvmlDeviceGetHandleByIndex(0)
        while not self._over.wait(EVERY_S):
            try:
                used = self._nvml.nvmlDeviceGetMemoryInfo(device).used
            except self._nvml.NVMLError:
                continue
            self._samples.append(Sample(time.time(), self._busy(device), used))

    def _busy(self, device: Any) -> float | None:
        try:
            return float(self._nvml.nvmlDeviceGetUtilizationRates(device).gpu) / 100
        except self._nvml.NVMLError:
            return None
