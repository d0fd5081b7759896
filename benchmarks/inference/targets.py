"""Tidepool's targets, as ratios to a server in the same run."""

from dataclasses import dataclass
from typing import Literal

from benchmarks.inference.results import Results

SMALL_CNN = "cnn, jpeg"
PHOTOS = ("resnet18, photo", "resnet18, photo-png")
_OTHERS = ("triton", "litserve", "mlserver", "bentoml", "ray")
ALL_POINTS = (1, 8, 32, 128)


@dataclass(frozen=True)
class Target:
    """The bound of Tidepool's requests per second, or p50, relative to a server's."""

    case: str
    server: str
    connections: int
    bound: float
    measure: Literal["requests/s", "p50"] = "requests/s"
    setting: str | None = None
    ours: str = "tidepool"

    def reached(self, results: Results) -> float | None:
        """Return the ratio; None if one of the two was not measured."""
        ours = results.best(self.case, self.ours, self.connections)
        reference = results.settings(self.case, self.server, self.connections, self.setting)
        if ours is None or not reference:
            return None
        if self.measure == "p50":
            return ours.p50_ms / min(measured.p50_ms for measured in reference)
        return ours.per_s / max(measured.per_s for measured in reference)

    def met(self, ratio: float) -> bool:
        return ratio <= self.bound if self.measure == "p50" else ratio >= self.bound

    def __str__(self) -> str:
        sign = "≤" if self.measure == "p50" else "≥"
        setting = f" ({self.setting})" if self.setting else ""
        return f"{self.measure} of {self.ours} {sign} {self.bound} × {self.server}{setting}"


TARGETS = (
    *(Target(SMALL_CNN, "mosec", point, 1) for point in ALL_POINTS),
    *(Target(SMALL_CNN, server, point, 1.5) for server in _OTHERS for point in ALL_POINTS),
    *(Target(SMALL_CNN, "mosec", point, 1.5, ours="tidepool int8") for point in (32, 128)),
    Target(SMALL_CNN, "limit", 128, 0.85),
    *(Target("mlp, jpeg", "mosec", point, 0.8) for point in ALL_POINTS),
    *(Target("mlp, jpeg", server, point, 3) for server in ("triton", "litserve", "mlserver") for point in (32, 128)),
    *(Target(case, "mosec", point, 0.95) for case in ("cnn, tensor", "resnet18, tensor") for point in ALL_POINTS),
    *(Target("mlp, tensor", "mosec", point, 0.6) for point in ALL_POINTS),
    *(Target(case, server, 8, 1.5) for case in PHOTOS for server in ("mosec", *_OTHERS)),
    Target(SMALL_CNN, "mosec", 1, 1.1, "p50", "no batches"),
    *(Target(SMALL_CNN, server, 1, 1, "p50") for server in _OTHERS),
)
