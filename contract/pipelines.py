"""Pipelines: automatic retraining, whose candidate is promoted only if it is shown to be better."""

from typing import Annotated

from pydantic import Field

from contract.base import Frozen, Whole
from contract.datasets import Label
from contract.evaluation import Share

Margin = Annotated[float, Field(strict=True, ge=0, lt=1)]


class Gate(Frozen):
    """What a candidate must show on the same images as the champion, the version in use, before it is promoted.

    With `confidence`, one-sided, its accuracy must be better by `better_by`. No class may fall by more than
    `no_class_falls_by` of its images, unless chance alone would explain the fall.
    """

    better_by: Margin = 0.005
    no_class_falls_by: Margin = 0.05
    confidence: Annotated[float, Field(strict=True, ge=0.5, lt=1)] = 0.95


class ClassChange(Frozen):
    """A class's accuracy with the candidate and with the champion, on the same images.

    `better` images are right with the candidate only, `worse` with the champion only. `chance` is that of a fall at
    least as large between two equally good models.
    """

    label: Label
    images: Whole
    accuracy: Share
    champion_accuracy: Share
    better: Whole
    worse: Whole
    chance: Share


class GateDecision(Frozen):
    """Whether a candidate has passed the gate, why in a sentence, and the numbers behind it.

    `better` images are right with the candidate only, `worse` with the champion only. The candidate is better by
    `at_least`, with the gate's confidence; `chance` is that of a model that is better by the gate's margin only to look
    as good. `classes` are those that change most, falls first. `notes` say what did not decide.
    """

    passed: bool
    reason: str
    notes: tuple[str, ...] = ()
    images: Whole
    accuracy: Share
    champion_accuracy: Share
    better: Whole
    worse: Whole
    at_least: float
    chance: Share
    classes: tuple[ClassChange, ...] = ()
