from pathlib import Path

import pytest

from contract.supervision import DESIRED
from tidepool.stack.components import Component
from tidepool.stack.replicas import Followed, load_wanted, save_wanted


def replica(role: str, index: int) -> Component:
    return Component(role=role, index=index, stage=0, command=("true",), environment={})


def test_what_was_saved_is_wanted(tmp_path: Path) -> None:
    save_wanted(tmp_path / "replicas", {"inference": 2, "trainer": 0})
    assert load_wanted(tmp_path / "replicas") == {"inference": (1, 2), "trainer": ()}


@pytest.mark.parametrize("text", [None, "", "{", '{"inference": 2}', '{"inference": [0]}'])
def test_nothing_that_can_be_read(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "replicas").write_text(text)
    assert load_wanted(tmp_path / "replicas") == {}


def test_everything_is_wanted_until_something_is_said(tmp_path: Path) -> None:
    followed = Followed(tmp_path / "replicas")
    followed.look()
    assert followed.wants(replica("inference", 9))


def test_what_was_said_last_is_wanted(tmp_path: Path) -> None:
    # given
    file = tmp_path / "replicas"
    followed = Followed(file)
    file.write_bytes(DESIRED.dump_json({"inference": (1, 3)}))
    followed.look()

    # when the file is gone, or in a state that nobody understands
    file.write_text("{")
    followed.look()

    # then
    assert [followed.wants(replica("inference", index)) for index in (1, 2, 3)] == [True, False, True]
    assert followed.wants(replica("gateway", 1))
