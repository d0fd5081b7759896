from pathlib import Path

from tidepool.stack.components import Component, StackPlan


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
