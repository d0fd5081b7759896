"""Tidepool's targets, as ratios to a server in the same run."""

from dataclasses import dataclass
from typing import Literal

from benchmarks.inference.results import Results

SMALL_CNN, TINY_MLP = "cnn, jpeg", "mlp, jpeg"
PHOTOS = ("resnet18, photo", "resnet18, photo-png")
_PEERS = ("mosec", "triton", "litserve", "mlserver", "bentoml", "ray")
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

    def reached(self, results: Results) -> float | None:
        """Return the ratio; None if one of the two was not measured."""
        ours = results.best(self.case, "tidepool", self.connections)
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
        return f"{self.measure} {sign} {self.bound} × {self.server}{setting}"


TARGETS = (
    *(Target(SMALL_CNN, "mosec", point, 0.9) for point in ALL_POINTS),
    *(
        Target(SMALL_CNN, server, point, 1.5)
        for server in ("triton", "litserve", "mlserver", "bentoml", "ray")
        for point in ALL_POINTS
    ),
    Target(SMALL_CNN, "limit", 128, 0.85),
    *(Target(TINY_MLP, "mosec", point, 0.75) for point in (32, 128)),
    *(Target(TINY_MLP, server, point, 3) for server in ("triton", "litserve", "mlserver") for point in (32, 128)),
    *(Target(case, server, 8, 1.5) for case in PHOTOS for server in _PEERS),
    Target(SMALL_CNN, "mosec", 1, 1.5, "p50", "no batches"),
    *(Target(SMALL_CNN, server, 1, 1, "p50") for server in ("triton", "litserve", "mlserver", "bentoml", "ray")),
)
