"""The only place that says how the learning rate moves during a training."""

import math
from typing import Literal

WARM_UP = 0.25  # share of the steps
START = 1 / 25  # of the peak


def factor(schedule: Literal["onecycle", "cosine", "constant"], done: float) -> float:
    """What to multiply the learning rate with after the share `done` (0..1) of all steps.

    `cosine` is Loshchilov and Hutter, "SGDR", 2016, without restarts; `onecycle` is Smith and Topin,
    "Super-Convergence", 2017, annealed by cosines and with the momentum left alone.
    """
    match schedule:
        case "constant":
            return 1.0
        case "cosine":
            return _cosine(1.0, 0.0, done)
        case "onecycle" if done < WARM_UP:
            return _cosine(START, 1.0, done / WARM_UP)
        case "onecycle":
            return _cosine(1.0, 0.0, (done - WARM_UP) / (1 - WARM_UP))


def _cosine(start: float, end: float, done: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * done)) / 2
