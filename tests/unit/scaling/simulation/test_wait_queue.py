from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from scaling.simulation.wait_queue import WaitQueue


def test_requests_start_in_order_of_arrival() -> None:
    wait_queue = WaitQueue(max_wait=None)
    began = [wait_queue.pass_step(step, arrived, room=2) for step, arrived in enumerate([3, 2, 0, 0])]
    assert began == [2, 2, 1, 0]
    assert wait_queue.began == Counter({0: 3, 1: 2})


def test_overdue_requests_are_dropped() -> None:
    wait_queue = WaitQueue(max_wait=2)
    wait_queue.pass_step(0, 5, room=0)
    wait_queue.pass_step(2, 1, room=1)
    assert (wait_queue.length, wait_queue.dropped, wait_queue.oldest(2)) == (5, 0, 2)
    wait_queue.pass_step(3, 0, room=0)
    assert (wait_queue.length, wait_queue.dropped, wait_queue.ages(3)) == (1, 4, Counter({1: 1}))


def test_no_request_starts_while_the_room_is_negative() -> None:
    wait_queue = WaitQueue(max_wait=None)
    assert wait_queue.pass_step(0, 2, room=-3) == 0
    assert wait_queue.length == 2


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(-2, 9)), max_size=40), st.none() | st.integers(0, 5))
def test_cohorts_behave_like_a_queue_of_single_requests(steps: list[tuple[int, int]], max_wait: int | None) -> None:
    wait_queue, queue, waits, dropped = WaitQueue(max_wait), [], Counter[int](), 0
    for step, (arrived, room) in enumerate(steps):
        began = wait_queue.pass_step(step, arrived, room)
        queue += [step] * arrived
        kept = [arrival for arrival in queue if max_wait is None or step - arrival <= max_wait]
        dropped += len(queue) - len(kept)
        count = min(len(kept), max(0, room))
        waits.update(step - arrival for arrival in kept[:count])
        queue = kept[count:]
        assert (began, wait_queue.length, wait_queue.dropped) == (count, len(queue), dropped)
        assert wait_queue.oldest(step) == (step - queue[0] if queue else 0)
    assert +wait_queue.began == waits
