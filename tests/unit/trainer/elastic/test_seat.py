"""A seat that a replica cannot use is left with an error, before the images are downloaded."""

from pathlib import Path

import pytest

from contract.errors import JobFailed, LeaseLost, Overtaken
from contract.references import Reference
from services.trainer.elastic import seat
from services.trainer.elastic.agent import host
from services.trainer.elastic.images import digest
from services.trainer.elastic.lead import TERMS
from services.trainer.elastic.seat import take_part
from tests.support.training_data import recipe, terms
from tests.support.training_task import MemoryTask

NETWORK = "TIDEPOOL_TRAINERS_NETWORK"


@pytest.mark.parametrize(("data", "error"), [("of other images", Overtaken), (None, JobFailed)])
def test_a_replica_without_the_same_images_or_an_address_leaves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: str | None, error: type[Exception]
) -> None:
    monkeypatch.setenv(NETWORK, "203.0.113.0/24")  # of documentation
    task = MemoryTask(tmp_path)
    store = host("127.0.0.1")
    task.endpoint = f"127.0.0.1:{store.port}"  # type: ignore[attr-defined]
    data = data or digest(task.manifest(Reference(name="bugs"))[1])
    store.set(TERMS, terms(recipe()).model_copy(update={"dataset": "bugs@7", "data": data}).model_dump_json())

    with pytest.raises(error):
        take_part(task)  # type: ignore[arg-type]

    assert not list(tmp_path.glob("train-*"))


def test_a_leader_that_is_gone_is_an_error_of_the_seat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def connect(address: str, port: int) -> None:
        raise RuntimeError("connection refused")

    monkeypatch.setattr(seat, "connect", connect)
    task = MemoryTask(tmp_path)
    task.endpoint = "127.0.0.1:1"  # type: ignore[attr-defined]

    with pytest.raises(LeaseLost):
        take_part(task)  # type: ignore[arg-type]
