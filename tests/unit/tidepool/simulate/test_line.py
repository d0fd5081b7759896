from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from tidepool.simulate.line import Line


def test_first_come_first_served() -> None:
    line = Line(patience=None)
    began = [line.pass_step(step, arrived, room=2) for step, arrived in enumerate([3, 2, 0, 0])]
    assert began == [2, 2, 1, 0]
    assert line.began == Counter({0: 3, 1: 2})


def test_who_waits_too_long_is_given_up() -> None:
    line = Line(patience=2)
    line.pass_step(0, 5, room=0)
    line.pass_step(2, 1, room=1)
    assert (line.length, line.dropped, line.oldest(2)) == (5, 0, 2)
    line.pass_step(3, 0, room=0)
    assert (line.length, line.dropped, line.ages(3)) == (1, 4, Counter({1: 1}))


def test_draining_replicas_have_less_than_no_room() -> None:
    line = Line(patience=None)
    assert line.pass_step(0, 2, room=-3) == 0
    assert line.length == 2


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(-2, 9)), max_size=40), st.none() | st.integers(0, 5))
def test_it_is_a_queue_of_single_requests(steps: list[tuple[int, int]], patience: int | None) -> None:
    line, queue, waits, dropped = Line(patience), [], Counter[int](), 0
    for step, (arrived, room) in enumerate(steps):
        began = line.pass_step(step, arrived, room)
        queue += [step] * arrived
        patient = [came for came in queue if patience is None or step - came <= patience]
        dropped += len(queue) - len(patient)
        count = min(len(patient), max(0, room))
        waits.update(step - came for came in patient[:count])
        queue = patient[count:]
        assert (began, line.length, line.dropped) == (count, len(queue), dropped)
        assert line.oldest(step) == (step - queue[0] if queue else 0)
    assert +line.began == waits
