from services.autoscaler.memory import LOST_SIGHT_S, Memory


def test_a_fresh_memory_wants_what_there_is() -> None:
    assert Memory.fresh(3, now=10).most_wanted == 3


def test_what_was_wanted_is_forgotten_after_the_window() -> None:
    memory = Memory.fresh(0, now=0)
    for now, replicas in [(0, 5), (10, 2), (20, 3)]:
        memory = memory.looking(now).noting(replicas, within_s=15, idle=False)
    assert [(each.at, each.replicas) for each in memory.wanted] == [(20, 3)]
    assert memory.looking(30).noting(1, within_s=15, idle=False).most_wanted == 3


def test_the_edge_of_the_window_belongs_to_it() -> None:
    memory = Memory.fresh(5, now=0).looking(15)
    assert memory.noting(1, within_s=15, idle=False).most_wanted == 5
    assert memory.noting(1, within_s=14, idle=False).most_wanted == 1


def test_idleness_begins_when_it_is_seen_and_ends_with_work() -> None:
    memory = Memory.fresh(1, now=0).looking(5).noting(0, 60, idle=True)
    later = memory.looking(20).noting(0, 60, idle=True)
    assert (memory.idle_since, later.idle_since) == (5, 5)
    assert later.noting(1, 60, idle=False).idle_since is None


def test_after_a_gap_nothing_is_known() -> None:
    memory = Memory.fresh(2, now=0).looking(5).noting(0, 60, idle=True)
    now = 5 + LOST_SIGHT_S + 1
    assert memory.looking(now) == Memory.fresh(2, now)
