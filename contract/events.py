"""What happens to a job, as it happens: the events that its stream carries."""

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
    """An event that has no number yet."""

    kind: EventKind
    data: dict[str, Any]


class JobEvent(EventDraft):
    """`id` counts up within a job; a reader resumes after the last one it saw."""

    id: Positive
    at: datetime
