"""Job states, and the validation of requests."""

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from contract.jobs import LIVE, TRANSITIONS, JobRequest, JobState
from tests.examples import (
    DATASET_MANIFEST,
    JOB,
    PREDICT_REQUEST,
    PREPROCESS_REQUEST,
    PREPROCESS_SPEC,
    TRAIN_REQUEST,
    VET_REQUEST,
)

REQUESTS: TypeAdapter[JobRequest] = TypeAdapter(JobRequest)


def test_terminal_states_are_final_and_every_other_state_leads_to_one() -> None:
    terminal = {state for state in JobState if state.terminal}

    assert terminal == {JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED, JobState.EXPIRED}
    assert set(LIVE) == set(JobState) - terminal
    assert all(TRANSITIONS[state] == frozenset() for state in terminal)
    assert all(TRANSITIONS[state] & terminal for state in LIVE)


def test_a_queued_job_succeeds_or_fails_only_by_running() -> None:
    assert TRANSITIONS[JobState.QUEUED] == {JobState.RUNNING, JobState.CANCELLED, JobState.EXPIRED}


@pytest.mark.parametrize(
    "request_", [PREPROCESS_REQUEST, TRAIN_REQUEST, PREDICT_REQUEST, VET_REQUEST], ids=lambda request_: request_.kind
)
def test_a_request_is_parsed_by_its_kind(request_: JobRequest) -> None:
    assert REQUESTS.validate_json(request_.model_dump_json()) == request_
    assert REQUESTS.validate_python(request_) == request_


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            {"kind": "sort"},
            "kind must be one of erase, index, preprocess, revise, backbone, train, evaluate, predict, vet",
        ),
        ({"kind": None}, "kind must be one of"),
        ({"kind": ["train"]}, "kind must be one of"),
        ({"kind": "train"}, "spec"),
        ({"priority": 101}, "priority"),
        ({"priority": 0.5}, "priority"),
        ({"deadline_s": 0}, "deadline_s"),
        ({"deadline_s": 31 * 86400}, "deadline_s"),
        ({"extra": 1}, "extra"),
        ({"spec": PREPROCESS_SPEC.model_dump() | {"dataset": "Upper"}}, "dataset"),
    ],
    ids=str,
)
def test_an_invalid_request_is_rejected(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        REQUESTS.validate_python(PREPROCESS_REQUEST.model_dump() | change)


def test_a_job_parses_its_spec() -> None:
    assert JOB.parsed_spec() == PREPROCESS_SPEC


def test_a_result_describes_the_published_version() -> None:
    assert JOB.result == {
        "dataset": "pets@1",
        "classes": ["cat", "dog"],
        "counts": DATASET_MANIFEST.counts.model_dump(),
        "rejected": 1,
        "shape": [3, 32, 32],
        "warnings": [warning.model_dump(mode="json") for warning in DATASET_MANIFEST.warnings],
        "decisions": [choice.model_dump(mode="json") for choice in DATASET_MANIFEST.decisions],
    }
