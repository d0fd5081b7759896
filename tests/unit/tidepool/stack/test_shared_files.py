import json
from pathlib import Path

import pytest

from contract.supervision import DESIRED, ComponentReport, State
from tidepool.stack.components import Component
from tidepool.stack.shared_files import (
    DesiredReplicasFile,
    load_desired,
    load_reports,
    save_desired,
    save_reports,
    save_targets,
)


def replica(role: str, index: int) -> Component:
    return Component(role=role, index=index, stage=0, command=("true",), environment={})


def test_saved_counts_are_loaded_as_indices(tmp_path: Path) -> None:
    save_desired(tmp_path / "replicas", {"inference": 2, "trainer": 0})
    assert load_desired(tmp_path / "replicas") == {"inference": (1, 2), "trainer": ()}


@pytest.mark.parametrize("text", [None, "", "{", '{"inference": 2}', '{"inference": [0]}'])
def test_an_invalid_or_missing_file_has_no_desired_replicas(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "replicas").write_text(text)
    assert load_desired(tmp_path / "replicas") == {}


def test_every_replica_is_desired_until_the_file_exists(tmp_path: Path) -> None:
    desired = DesiredReplicasFile(tmp_path / "replicas")
    desired.reload()
    assert desired.includes(replica("inference", 9))


def test_the_last_valid_file_counts(tmp_path: Path) -> None:
    # given
    file = tmp_path / "replicas"
    desired = DesiredReplicasFile(file)
    file.write_bytes(DESIRED.dump_json({"inference": (1, 3)}))
    desired.reload()

    # when the file becomes invalid
    file.write_text("{")
    desired.reload()

    # then
    assert [desired.includes(replica("inference", index)) for index in (1, 2, 3)] == [True, False, True]
    assert desired.includes(replica("gateway", 1))


def test_saved_reports_are_loaded(tmp_path: Path) -> None:
    draining = ComponentReport(name="inference-2", role="inference", index=2, state=State.DRAINING, restarts=3, pid=42)
    reports = (ComponentReport(name="redis", role="redis", state=State.RESTARTING, restarts=0), draining)
    save_reports(tmp_path / "state", reports)
    assert load_reports(tmp_path / "state") == reports


def test_an_invalid_report_file_has_no_reports(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("{")
    assert load_reports(tmp_path / "state") == ()


def test_a_missing_report_file_has_no_reports(tmp_path: Path) -> None:
    assert load_reports(tmp_path / "state") == ()


def test_prometheus_gets_the_ports_of_components_that_have_metrics(tmp_path: Path) -> None:
    redis, second = replica("redis", 1), replica("inference", 2)
    second = second.model_copy(update={"environment": {"TIDEPOOL_METRICS_PORT": "15002"}})

    save_targets(tmp_path / "targets", [redis, second])

    assert json.loads((tmp_path / "targets").read_text()) == [
        {"targets": ["127.0.0.1:15002"], "labels": {"role": "inference", "replica": "inference-2"}}
    ]
