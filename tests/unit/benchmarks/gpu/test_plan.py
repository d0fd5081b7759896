"""Steps end at their deadlines, and all of them within the limit."""

import time
from pathlib import Path

import psutil
import pytest

from benchmarks.gpu import plan
from benchmarks.gpu.card import Sampler, card_of
from benchmarks.gpu.plan import LIMIT_S, Result, Step, run_all, steps
from tests.support.nvml import Nvml

NONE = Sampler(Nvml(driver=False), None)

# a module whose request is a piece of Python, which sets `result`
RUNNER = """
import json, sys
request = json.loads(open(sys.argv[1]).read())
names = {"request": request}
exec(request["code"], names)
open(sys.argv[2], "w").write(json.dumps(names["result"]))
"""


@pytest.fixture(autouse=True)
def _module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "runner.py").write_text(RUNNER)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(plan, "GRACE_S", 0.5)


def step(name: str, code: str, limit_s: float = 30, needs: str | None = None) -> Step:
    return Step(name, "runner", limit_s, {"code": code}, needs)


def results(folder: Path, *chosen: Step, limit_s: float = 60, sampler: Sampler = NONE) -> dict[str, Result]:
    return {result.step: result for result in run_all(chosen, folder, sampler, limit_s)}


def test_a_step_has_its_request_the_folder_and_its_limit(tmp_path: Path) -> None:
    (result,) = results(tmp_path, step("one", "result = request")).values()

    assert result.error is None
    assert result.value is not None
    assert (result.value["folder"], result.value["limit_s"]) == (str(tmp_path), 30)


def test_a_step_that_hangs_is_killed_with_what_it_started_and_the_next_one_runs(tmp_path: Path) -> None:
    hang = "import subprocess, sys, time; subprocess.Popen(['sleep', '321.5']); time.sleep(300)"

    started = time.monotonic()
    done = results(tmp_path, step("hangs", hang, limit_s=1.5), step("next", "result = {}"))

    assert time.monotonic() - started < 30
    assert (done["hangs"].error, done["next"].error) == ("not done within 2 s", None)
    assert not [process for process in psutil.process_iter(["cmdline"]) if "321.5" in (process.info["cmdline"] or [])]


def test_a_step_that_fails_tells_its_last_lines_and_what_needs_it_is_not_begun(tmp_path: Path) -> None:
    done = results(
        tmp_path, step("models", "raise SystemExit('no room')"), step("engine", "result = {}", needs="models")
    )

    assert done["models"].error == "exit status 1: no room"
    assert done["engine"].error == "it needs the step models, which failed"


def test_no_step_is_begun_without_time(tmp_path: Path) -> None:
    (result,) = results(tmp_path, step("late", "result = {}"), limit_s=1).values()

    assert result.error == "no time was left of the 1 s"


def test_windows_have_the_use_of_the_gpu_in_their_time(tmp_path: Path) -> None:
    nvml = Nvml(utilization=75)
    code = (
        "import time; begin = time.time(); time.sleep(0.5); result = {'windows': [{'from': begin, 'to': time.time()}]}"
    )

    with Sampler(nvml, card_of(nvml)) as sampler:
        (result,) = results(tmp_path, step("served", code), sampler=sampler).values()

    assert result.value is not None
    (window,) = result.value["windows"]
    assert window["busy"] == pytest.approx(0.75)
    assert window["peak_bytes"] == 10 << 30


def test_the_steps_begin_with_what_matters_and_each_has_a_limit_within_the_whole() -> None:
    chosen = steps(None, rehearse=False)

    assert [one.name for one in chosen[:4]] == ["hardware", "models", "resnet18 engine", "resnet18 served"]
    assert all(one.limit_s < LIMIT_S for one in chosen)
    assert all(one.needs in {None, *(other.name for other in chosen[:place])} for place, one in enumerate(chosen))
    assert LIMIT_S + 30 < 8 * 60
