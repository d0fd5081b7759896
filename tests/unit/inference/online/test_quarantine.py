"""Versions whose runs take too long again and again are taken out of service."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from contract.access import DEFAULT_PROJECT
from contract.errors import Conflict, DatabaseUnavailable, DeadlineExceeded, Unavailable
from contract.inference import Answer, Artifact, Failure, Outputs, Question, Target, Tensor, Tensors
from contract.references import Reference
from messaging.answering import BatchAnswers, Respond
from services.inference.online import setup
from services.inference.online.quarantine import STOPS, STUCK_STATUS, Quarantine
from services.storage.catalog.models import Models
from services.storage.database import Database
from services.storage.memory_objects import MemoryObjects
from services.storage.stores import Stores
from tests.support.onnx_graphs import loop
from tests.support.onnx_serving import serve

VERSION = Reference(name="spinner", version=1)
OTHER = Reference(name="steady", version=1)
STOPPED = Failure(DeadlineExceeded.code, "it took too long")
GOOD, BAD = Outputs(()), Failure("invalid", "a bad input")


@pytest.fixture
def stores() -> Stores:
    stores = Stores(Database.in_memory(), MemoryObjects())
    for version in (VERSION, OTHER):
        serve(stores, version.name, loop())
    return stores


@pytest.fixture
def models(stores: Stores) -> Models:
    return stores.of(DEFAULT_PROJECT).models


def target(models: Models, version: Reference = VERSION) -> Target:
    artifact = models.manifest(version)[1].artifact
    return Target(version.name, version.version or 0, Artifact(**artifact.model_dump(mode="json")), batched=False)


def quarantine(models: Models) -> Quarantine:
    return Quarantine(lambda _: models, 8)


def answering(*outcomes: Answer | Exception) -> Respond:
    """Return a replica that answers each batch with the next outcome."""
    following: Iterator[Answer | Exception] = iter(outcomes)

    def respond(_: Target, __: tuple[Question, ...]) -> BatchAnswers:
        outcome = next(following)
        if isinstance(outcome, Exception):
            raise outcome
        return BatchAnswers([GOOD, outcome], 1.0, "CPUExecutionProvider", 8)

    return respond


def run(respond: Respond, to: Target, batches: int) -> list[str]:
    """Return the codes of the errors of some batches, or those of their second answers."""
    codes = []
    for _ in range(batches):
        try:
            answer = respond(to, ()).answers[1]
        except (Conflict, DeadlineExceeded, Unavailable) as error:
            codes.append(error.code)
        else:
            codes.append(answer.code if isinstance(answer, Failure) else "ok")
    return codes


@pytest.mark.parametrize("stopped", [STOPPED, DeadlineExceeded("it took too long")])
def test_three_stopped_batches_in_a_row_quarantine_a_version(models: Models, stopped: Answer | Exception) -> None:
    respond = quarantine(models).guard(answering(*[stopped] * STOPS, GOOD))

    codes = run(respond, target(models), STOPS + 1)

    assert codes == ["deadline_exceeded"] * STOPS + ["conflict"]
    version = models.get(VERSION)
    assert version.status == "quarantined"
    assert version.reason == "3 batches in a row took more than 8 s for one run of the model and were stopped"
    with pytest.raises(Conflict, match="spinner@1 is quarantined: 3 batches in a row"):
        models.route(VERSION)
    assert models.get(OTHER).status == "ready"


def test_stopped_runs_and_quarantines_are_counted_and_logged(models: Models) -> None:
    def counted(name: str, **labels: str) -> float:
        return REGISTRY.get_sample_value(f"tidepool_inference_{name}_total", labels) or 0

    to = target(models)
    labels = {"model": to.label, "version": "1"}
    stopped, quarantines = counted("stopped", **labels), counted("quarantined")

    with capture_logs() as logs:
        run(quarantine(models).guard(answering(*[STOPPED] * STOPS)), to, STOPS)

    assert counted("stopped", **labels) == stopped + STOPS
    assert counted("quarantined") == quarantines + 1
    assert [entry["event"] for entry in logs] == ["a run was stopped"] * STOPS + ["version quarantined"]
    assert logs[-1]["version"] == "spinner@1"
    assert "took more than 8 s" in logs[-1]["reason"]


@pytest.mark.parametrize("between", [GOOD, BAD])
def test_a_batch_that_ends_starts_the_count_again(models: Models, between: Answer) -> None:
    respond = quarantine(models).guard(answering(STOPPED, STOPPED, between, STOPPED, STOPPED, GOOD))

    run(respond, target(models), 6)

    assert models.get(VERSION).status == "ready"


def test_versions_are_counted_apart(models: Models) -> None:
    respond = quarantine(models).guard(answering(*[STOPPED] * 4))

    for version in (VERSION, OTHER) * 2:
        run(respond, target(models, version), 1)

    assert [models.get(version).status for version in (VERSION, OTHER)] == ["ready", "ready"]


def test_an_outage_of_the_replica_does_not_count(models: Models) -> None:
    respond = quarantine(models).guard(answering(*[Unavailable("no device")] * 4))

    run(respond, target(models), 4)

    assert models.get(VERSION).status == "ready"


def test_a_lifted_quarantine_starts_the_count_again(models: Models) -> None:
    respond = quarantine(models).guard(answering(*[STOPPED] * STOPS, GOOD, STOPPED, GOOD))
    run(respond, target(models), STOPS)

    models.lift_quarantine(VERSION)

    assert run(respond, target(models), 3) == ["ok", "deadline_exceeded", "ok"]
    assert models.get(VERSION).status == "ready"


def test_the_quarantine_is_recorded_after_a_database_outage(models: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    respond = quarantine(models).guard(answering(*[STOPPED] * STOPS))
    to = target(models)
    with monkeypatch.context() as outage, capture_logs() as logs:
        outage.setattr(models, "quarantine", raise_outage)
        outage.setattr(models, "manifest", raise_outage)
        assert run(respond, to, STOPS + 1)[-1] == "conflict"
    assert "cannot record the quarantine: no database" in [entry["event"] for entry in logs]

    assert run(respond, to, 1) == ["conflict"]

    assert models.get(VERSION).status == "quarantined"


def raise_outage(*_: object) -> None:
    raise DatabaseUnavailable("the database does not answer")


def test_a_served_model_that_loops_without_end_is_stopped_and_quarantined(
    stores: Stores, models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDEPOOL_INFERENCE_RUN_S", "0.2")
    respond = setup.setup(stores).respond

    def ask(version: Reference, rounds: int) -> str:
        row, count = np.ones((1, 2), np.float32), np.array(rounds, np.int64)
        tensors = Tensors((Tensor("x", "FP32", (1, 2), row.tobytes()), Tensor("rounds", "INT64", (), count.tobytes())))
        try:
            (answer,) = respond(target(models, version), (Question(tensors, 0.0, ""),)).answers
        except Conflict as error:
            return error.code
        return answer.code if isinstance(answer, Failure) else "ok"

    assert [ask(VERSION, 2), *(ask(VERSION, 2**62) for _ in range(STOPS)), ask(VERSION, 2)] == [
        "ok",
        *["deadline_exceeded"] * STOPS,
        "conflict",
    ]
    assert ask(OTHER, 2) == "ok"
    assert models.get(VERSION).status == "quarantined"


STUCK = """
import sys
import numpy as np
from contract.inference import Artifact, Question, Target, Tensor, Tensors
from contract.references import Reference
from services.inference.online import setup
from services.storage.database import Database
from services.storage.memory_objects import MemoryObjects
from services.storage.stores import Stores
from services.storage.tables import metadata
from tests.support.onnx_graphs import product
from tests.support.onnx_serving import serve

database = Database.connect(sys.argv[1])
metadata.create_all(database.engine)
stores = Stores(database, MemoryObjects())
serve(stores, "spinner", product())
artifact = stores.of("default").models.manifest(Reference(name="spinner", version=1))[1].artifact
target = Target("spinner", 1, Artifact(**artifact.model_dump(mode="json")), batched=False)
respond = setup.setup(stores).respond
for rows in (2, 10_000):
    size = Tensor("n", "INT64", (1,), np.array([rows]).tobytes())
    print(respond(target, (Question(Tensors((size,)), 0.0, ""),)).answers, flush=True)
"""


def test_a_run_that_cannot_be_stopped_ends_the_replica_and_quarantines_the_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given one operator that computes for many seconds
    monkeypatch.setenv("TIDEPOOL_INFERENCE_RUN_S", "2")
    monkeypatch.setenv("TIDEPOOL_INFERENCE_RUN_BYTES", str(2**33))
    url = f"sqlite:///{tmp_path}/state.db"

    process = subprocess.run([sys.executable, "-c", STUCK, url], capture_output=True, text=True, check=False)

    assert process.returncode == STUCK_STATUS, process.stderr
    assert process.stdout.count("Outputs(") == 1
    models = Stores(Database.connect(url), MemoryObjects()).of(DEFAULT_PROJECT).models
    assert "could not be stopped after 2 s" in (models.get(VERSION).reason or "")

    # and another replica refuses it before its first run
    with pytest.raises(Conflict, match="could not be stopped"):
        quarantine(models).guard(answering(GOOD))(target(models), ())
