"""Every registered job kind is complete: a pool, examples, a publication and a handler."""

import re
from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

from contract.jobs import JobKind, JobRequest
from contract.kinds.kind import JobSpec, Kind
from contract.kinds.registry import all_kinds
from contract.pools import POOL_NAMES
from services.storage.jobs.publication import publication_of

SERVICES = Path(__file__).parents[3] / "services"
PARAMETERS = pytest.mark.parametrize("kind", all_kinds(), ids=lambda kind: kind.name)


def test_the_kinds_are_ordered_by_pool() -> None:
    assert list(JobKind) == [
        "erase",
        "index",
        "preprocess",
        "revise",
        "backbone",
        "train",
        "trial",
        "evaluate",
        "predict",
        "vet",
        "purge",
    ]


@PARAMETERS
def test_a_kind_has_a_pool_and_a_name_that_fits_its_column(kind: Kind) -> None:
    assert kind.internal or kind.pool in POOL_NAMES
    assert JobKind(kind.name).pool == kind.pool
    assert len(kind.name) <= 16
    assert issubclass(kind.spec, JobSpec)


@PARAMETERS
def test_the_examples_of_a_kind_are_valid_requests(kind: Kind) -> None:
    assert kind.examples or not kind.submitted
    for example in kind.examples.values():
        assert isinstance(TypeAdapter(JobRequest).validate_python(example["value"]), kind.request)


@PARAMETERS
def test_a_kind_has_a_publication(kind: Kind) -> None:
    assert publication_of(kind.name).kind == kind.name


def test_each_kind_has_one_handler_in_the_service_of_its_pool() -> None:
    handlers = [
        (path.parent.name, name.lower())
        for path in SERVICES.glob("*/main.py")
        for line in path.read_text().splitlines()
        if "seats = " not in line  # handlers of other replicas' jobs
        for name in re.findall(r"JobKind\.([A-Z_]+): \w", line)
    ]

    assert sorted(handlers) == sorted((kind.pool, kind.name) for kind in all_kinds() if not kind.internal)


def test_clients_cannot_submit_what_the_storage_process_runs() -> None:
    with pytest.raises(ValidationError, match=r"kind must be one of erase, .*, vet \["):
        TypeAdapter(JobRequest).validate_python({"kind": "purge", "spec": {"project": "lab"}})
    assert "PurgeRequest" not in str(TypeAdapter(JobRequest).json_schema())
