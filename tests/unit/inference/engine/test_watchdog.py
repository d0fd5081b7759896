"""Limits on the time and memory of a run."""

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.typing import NDArray

from contract.errors import DeadlineExceeded, TooLarge
from contract.inference import Failure, Outputs, Tensor, Tensors
from services.inference.engine.onnx_runtime import ORT_ERRORS, ort
from services.inference.engine.tensors import TensorRunner
from services.inference.engine.watchdog import LimitedSession, Watchdog
from tests.support.onnx_graphs import filled, lookup, loop
from tests.support.onnx_serving import session_of

LIMIT_S = 0.3
ENDLESS = 2**62


@pytest.fixture
def watchdog() -> Watchdog:
    return Watchdog(LIMIT_S)


def loop_feed(rounds: int) -> dict[str, NDArray[np.generic]]:
    return {"x": np.ones((1, 2), np.float32), "rounds": np.array(rounds, np.int64)}


def question(rounds: int) -> Tensors:
    row, count = np.ones((1, 2), np.float32), np.array(rounds, np.int64)
    return Tensors((Tensor("x", "FP32", (1, 2), row.tobytes()), Tensor("rounds", "INT64", (), count.tobytes())))


def test_a_run_is_stopped_after_the_limit_and_the_session_stays_usable(watchdog: Watchdog) -> None:
    session = LimitedSession(session_of(loop()), watchdog)
    started = time.monotonic()

    with pytest.raises(DeadlineExceeded, match=r"more than 0\.3 s"):
        session.run(None, loop_feed(ENDLESS))

    assert LIMIT_S <= time.monotonic() - started < 10
    (output,) = session.run(None, loop_feed(2))
    np.testing.assert_allclose(output, np.sin(np.sin(np.ones((1, 2)))), rtol=1e-6)


def test_a_run_with_ort_values_is_stopped(watchdog: Watchdog) -> None:
    session = LimitedSession(session_of(loop()), watchdog)
    values = {name: ort.OrtValue.ortvalue_from_numpy(array) for name, array in loop_feed(ENDLESS).items()}

    with pytest.raises(DeadlineExceeded):
        session.run_with_ort_values(["y"], values)


def test_runs_are_stopped_each_in_its_time_by_one_thread(watchdog: Watchdog) -> None:
    session = LimitedSession(session_of(loop()), watchdog)
    before = threading.active_count()

    def run(delay: float) -> float:
        time.sleep(delay)
        started = time.monotonic()
        with pytest.raises(DeadlineExceeded):
            session.run(None, loop_feed(ENDLESS))
        return time.monotonic() - started

    with ThreadPoolExecutor(3) as threads:
        durations = list(threads.map(run, (0, LIMIT_S / 2, LIMIT_S / 1.5)))
        assert threading.active_count() == before + 3 + 1

    assert min(durations) >= LIMIT_S


def test_runs_of_other_models_go_on(watchdog: Watchdog) -> None:
    slow, quick = (LimitedSession(session_of(file), watchdog) for file in (loop(), lookup()))

    with ThreadPoolExecutor(1) as threads:
        stopped = threads.submit(slow.run, None, loop_feed(ENDLESS))
        count = 0
        while not stopped.done():
            assert quick.run(None, {"x": np.array([1])})[0] == [10]
            count += 1

    assert isinstance(stopped.exception(), DeadlineExceeded)
    assert count > 10


def test_other_errors_of_a_run_are_passed_on(watchdog: Watchdog) -> None:
    with pytest.raises(ORT_ERRORS):
        LimitedSession(session_of(lookup()), watchdog).run(None, {"x": np.array([9])})


def test_a_stopped_question_fails_and_those_after_it_are_not_run(watchdog: Watchdog) -> None:
    runner = TensorRunner(LimitedSession(session_of(loop()), watchdog), batched=False, max_batch=4)

    first, stopped, *rest = runner.answer([question(rounds) for rounds in (1, ENDLESS, 1, ENDLESS)])

    assert isinstance(first, Outputs)
    assert isinstance(stopped, Failure)
    assert stopped.code == "deadline_exceeded"
    assert [answer.code for answer in rest if isinstance(answer, Failure)] == ["unavailable"] * 2


def test_a_shared_run_that_is_stopped_fails_its_questions(watchdog: Watchdog) -> None:
    runner = TensorRunner(LimitedSession(session_of(loop(ENDLESS)), watchdog), batched=True, max_batch=4)
    questions = [Tensors(question(1).inputs[:1])] * 3

    answers = runner.answer(questions)

    assert [answer.code for answer in answers if isinstance(answer, Failure)] == ["deadline_exceeded"] * 3


MEMORY = """
import numpy as np
from contract.errors import TooLarge
from services.inference.engine.loader import ModelLoader
from tests.support.onnx_graphs import filled

def resident():
    return int(open("/proc/self/statm").read().split()[1]) // 256

session = ModelLoader(run_s=60, run_bytes=100 * 2**20).load(filled()).session
for mebibytes in (10, 60, 80, 500, 10, 80):
    before = resident()
    try:
        print(mebibytes, *session.run(None, {"n": np.array([mebibytes * 2**18])})[0])
    except TooLarge as error:
        print(mebibytes, resident() - before < 5)
"""


def test_a_run_that_needs_too_much_memory_fails_alone() -> None:
    # 80 MiB fit only after the memory kept for other sizes is given back
    process = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True)

    assert process.stdout.splitlines() == ["10 0.0", "60 0.0", "80 0.0", "500 True", "10 0.0", "80 0.0"]


def test_memory_is_a_reason_of_its_own(watchdog: Watchdog, monkeypatch: pytest.MonkeyPatch) -> None:
    session = session_of(filled())

    class Full:
        get_inputs, get_outputs, get_providers = session.get_inputs, session.get_outputs, session.get_providers

        def run(self, *_: object) -> None:
            raise RuntimeError("Available memory of 0 is smaller than requested bytes of 8")

    runner = TensorRunner(LimitedSession(Full(), watchdog), batched=False, max_batch=1)  # type: ignore[arg-type]
    (answer,) = runner.answer([Tensors((Tensor("n", "INT64", (1,), bytes(8)),))])

    assert isinstance(answer, Failure)
    assert answer.code == TooLarge.code
    assert "more memory" in answer.message
