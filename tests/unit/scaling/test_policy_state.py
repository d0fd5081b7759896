from scaling.policy_state import MAX_GAP_S, PolicyState


def test_the_initial_recommendation_is_the_current_count() -> None:
    assert PolicyState.initial(3, now=10).largest_recommendation == 3


def test_recommendations_expire_after_the_window() -> None:
    state = PolicyState.initial(0, now=0)
    for now, replicas in [(0, 5), (10, 2), (20, 3)]:
        state = state.advanced_to(now).with_recommendation(replicas, within_s=15, idle=False)
    assert [(item.at, item.replicas) for item in state.recommendations] == [(20, 3)]
    assert state.advanced_to(30).with_recommendation(1, within_s=15, idle=False).largest_recommendation == 3


def test_the_window_includes_its_edge() -> None:
    state = PolicyState.initial(5, now=0).advanced_to(15)
    assert state.with_recommendation(1, within_s=15, idle=False).largest_recommendation == 5
    assert state.with_recommendation(1, within_s=14, idle=False).largest_recommendation == 1


def test_idleness_begins_when_it_is_measured_and_ends_with_work() -> None:
    state = PolicyState.initial(1, now=0).advanced_to(5).with_recommendation(0, 60, idle=True)
    later = state.advanced_to(20).with_recommendation(0, 60, idle=True)
    assert (state.idle_since, later.idle_since) == (5, 5)
    assert later.with_recommendation(1, 60, idle=False).idle_since is None


def test_a_long_gap_resets_the_state() -> None:
    state = PolicyState.initial(2, now=0).advanced_to(5).with_recommendation(0, 60, idle=True)
    now = 5 + MAX_GAP_S + 1
    assert state.advanced_to(now) == PolicyState.initial(2, now)
