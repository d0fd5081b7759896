import ssl
from pathlib import Path

import httpx
import pytest

from tests.support.certificates import Authority
from tests.support.http_server import Handler, answering
from tidepool.errors import UserFacingError
from tidepool.stack.components import Component, StackPlan


class Found(Handler):
    """Answers 200."""

    def do_GET(self) -> None:
        self.answer(200)


def component(role: str, stage: int, **fields: object) -> Component:
    return Component.model_validate({"role": role, "stage": stage, "command": ("true",), "environment": {}} | fields)


def test_the_first_replica_is_named_after_its_role() -> None:
    assert component("inference", 0).name == "inference"
    assert component("inference", 0, index=2).name == "inference-2"


def test_stages_are_in_order() -> None:
    plan = StackPlan(url="", components=(component("c", 5), component("a", 0), component("d", 5), component("b", 2)))
    assert [[component.role for component in stage] for stage in plan.stages()] == [["a"], ["b"], ["c", "d"]]


def test_grace_periods_of_one_stage_run_in_parallel() -> None:
    plan = StackPlan(url="", components=(component("a", 0, grace=35), component("b", 0, grace=10), component("c", 1)))
    assert plan.longest_stop() == 45


def test_a_saved_plan_is_private_and_loads_unchanged(tmp_path: Path) -> None:
    plan = StackPlan(url="http://127.0.0.1:1", components=(component("a", 0, environment={"SECRET": "x"}),))
    plan.save(tmp_path / "plan")
    assert StackPlan.load(tmp_path / "plan") == plan
    assert (tmp_path / "plan").stat().st_mode & 0o777 == 0o600


def test_clients_of_a_stack_trust_its_certificate_and_no_other(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    issued, other = authority.issue(), Authority(tmp_path / "other").issue()
    plan = StackPlan(url="https://127.0.0.1:1", components=(), certificate=issued.cert)
    context = plan.trust()
    assert isinstance(context, ssl.SSLContext)

    with answering(Found, issued.server_context) as port:
        assert httpx.get(f"https://127.0.0.1:{port}", verify=context).status_code == 200
    with answering(Found, other.server_context) as port, pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY"):
        httpx.get(f"https://127.0.0.1:{port}", verify=context)


def test_a_certificate_that_is_gone_is_reported(tmp_path: Path) -> None:
    plan = StackPlan(url="https://127.0.0.1:1", components=(), certificate=tmp_path / "none.pem")

    with pytest.raises(UserFacingError, match=r"none\.pem cannot be read"):
        plan.trust()


def test_without_a_certificate_the_usual_ones_are_trusted() -> None:
    assert StackPlan(url="http://127.0.0.1:1", components=()).trust() is True
