"""Jobs: kinds, states and their transitions, requests, and the public view."""

from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, PydanticKnownError, core_schema

from contract.access import DEFAULT_PROJECT
from contract.base import Frozen, Positive, Whole
from contract.kinds.kind import JobSpec, Kind, KindRequest
from contract.kinds.registry import all_kinds, find_kind


class _OpenEnumeration(type):
    """`JobKind.TRAIN` and iteration, over the kinds that are registered at that moment."""

    def __getattr__(cls, name: str) -> "JobKind":
        if name.startswith("_") or find_kind(name.lower()) is None:
            raise AttributeError(f"there is no job kind {name}")
        return JobKind(name.lower())

    def __iter__(cls) -> "Iterator[JobKind]":
        return (JobKind(kind.name) for kind in all_kinds())


class JobKind(str, metaclass=_OpenEnumeration):
    """The name of a registered job kind; any other name raises ValueError."""

    __slots__ = ()

    def __new__(cls, name: str) -> "JobKind":
        if find_kind(name) is None:
            raise ValueError(f"{name!r} is not a job kind")
        return super().__new__(cls, name)

    @property
    def definition(self) -> Kind:
        kind = find_kind(self)
        assert kind is not None  # noqa: S101  __new__ has looked it up
        return kind

    @property
    def pool(self) -> str:
        """The pool of workers, and so the queue, of this kind; `storage` for one of the storage process."""
        return self.definition.pool

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(
            _parse_kind, core_schema.str_schema(), ref="contract.jobs.JobKind:0"
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        reference = handler(schema)
        handler.resolve_ref_schema(reference).update({"enum": [str(kind) for kind in cls], "title": cls.__name__})
        return reference


def _parse_kind(name: str) -> JobKind:
    try:
        return JobKind(name)
    except ValueError:
        *others, last = (f"'{kind}'" for kind in JobKind)
        raise PydanticKnownError("enum", {"expected": f"{', '.join(others)} or {last}"}) from None


class _RequestByKind:
    """Validates a request with the model of its `kind`, and lists all of them in the JSON schema."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(_parse_request)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        # inside of `definitions`, or the handler would inline a model that has no definitions of its own
        requests = (kind.request.__pydantic_core_schema__ for kind in all_kinds() if kind.submitted)
        schemas = (core_schema.definitions_schema(request, []) for request in requests)
        return {"oneOf": [handler(request) for request in schemas]}


def _parse_request(value: Any) -> KindRequest:
    if isinstance(value, KindRequest):
        return value
    name = value.get("kind") if isinstance(value, dict) else None
    kind = find_kind(name) if isinstance(name, str) else None
    if kind is None or not kind.submitted:
        names = ", ".join(kind.name for kind in all_kinds() if kind.submitted)
        raise PydanticCustomError("unknown_kind", f"kind must be one of {names}")
    return kind.request.model_validate(value)


if TYPE_CHECKING:
    JobRequest = KindRequest
else:
    JobRequest = Annotated[Any, _RequestByKind()]  # FastAPI would document the fields of a model
"""A request of any registered kind, including kinds registered after a model or a route has used this type."""


class JobState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"

    @property
    def terminal(self) -> bool:
        return not TRANSITIONS[self]


TRANSITIONS: dict[JobState, frozenset[JobState]] = {
    JobState.QUEUED: frozenset({JobState.RUNNING, JobState.CANCELLED, JobState.EXPIRED}),
    JobState.RUNNING: frozenset(set(JobState)),  # to itself when another worker takes an expired lease
    JobState.SUCCEEDED: frozenset(),
    JobState.FAILED: frozenset(),
    JobState.CANCELLED: frozenset(),
    JobState.EXPIRED: frozenset(),
}


LIVE = tuple(state for state in JobState if not state.terminal)


class Progress(Frozen):
    fraction: Annotated[float, Field(strict=True, ge=0, le=1)] = 0.0
    message: str = ""


class JobError(Frozen):
    code: str
    message: str


class Job(Frozen):
    """The public view of a job; `parent` is the id of the job, or `pipeline` the pipeline, that has created it.

    Both are None if a client has.
    """

    id: str
    project: str = DEFAULT_PROJECT
    kind: JobKind
    state: JobState
    spec: dict[str, Any]
    progress: Progress
    priority: int
    attempt: Whole
    max_attempts: Positive
    result: dict[str, Any] | None
    error: JobError | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    deadline_at: datetime | None
    parent: str | None = None
    pipeline: str | None = None

    def parsed_spec(self) -> JobSpec:
        return self.kind.definition.spec.model_validate(self.spec)


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
