"""The events of a job's stream."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from contract.base import Frozen, Positive


class EventKind(StrEnum):
    STATE = "state"  # {"state", "attempt", "error"?}
    PROGRESS = "progress"  # {"fraction", "message"}
    METRICS = "metrics"  # {"epoch", "train_loss", …}
    LOG = "log"  # {"message"}


class EventDraft(Frozen):
    """An event without a number."""

    kind: EventKind
    data: dict[str, Any]


class JobEvent(EventDraft):
    """`id` counts from 1 within a job; readers resume after the last one they have."""

    id: Positive
    at: datetime
