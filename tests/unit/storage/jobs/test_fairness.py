"""The policy of fair claiming: no project starves, and replicas are shared by weight."""

import heapq
from collections import Counter
from dataclasses import dataclass, field, replace
from math import ceil

from hypothesis import given
from hypothesis import strategies as st

from services.storage.jobs.fairness import CREDIT, STRIDE, Choice, Standing, choose

weights_of_projects = st.lists(st.integers(1, 8), min_size=2, max_size=5)


@dataclass
class Pool:
    """Replicas that always claim, and projects that always have jobs; jobs end in the order of their durations."""

    weights: list[int]
    replicas: int
    standings: dict[str, Standing] = field(init=False)
    now: int = 0
    time: float = 0.0
    ends: list[tuple[float, int, str]] = field(default_factory=list)
    claims: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        names = {f"project-{number}": weight for number, weight in enumerate(self.weights)}
        self.standings = {name: Standing(name, weight, 0, None, name) for name, weight in names.items()}

    def claim(self, *idle: str) -> str:
        """Claim a job of a project that is not idle, when a replica is free."""
        if len(self.ends) == self.replicas:
            self.time, _, ended = heapq.heappop(self.ends)
            self._count(ended, -1)
        choice = choose([s for s in self.standings.values() if s.project not in idle], self.now)
        assert choice.turn is not None
        self.now = max(self.now, choice.turn)
        self._count(choice.project, 1)
        self.standings[choice.project] = replace(self.standings[choice.project], turn=choice.turn)
        self.claims.append(choice.project)
        return choice.project

    def run(self, project: str, seconds: float) -> None:
        heapq.heappush(self.ends, (self.time + seconds, len(self.claims), project))

    def _count(self, project: str, leases: int) -> None:
        standing = self.standings[project]
        self.standings[project] = replace(standing, running=standing.running + leases)


standings = st.builds(
    Standing,
    project=st.text("abc", min_size=1),
    weight=st.integers(1, 100),
    running=st.integers(0, 20),
    turn=st.none() | st.integers(0, 9 * STRIDE),
    age=st.text("xyz", min_size=1),
)


@given(st.lists(standings, min_size=1, max_size=8, unique_by=lambda standing: standing.project))
def test_some_project_below_its_share_is_chosen(contenders: list[Standing]) -> None:
    choice = choose(contenders, 9 * STRIDE)

    chosen = next(standing for standing in contenders if standing.project == choice.project)
    assert chosen.running / (sum(s.running for s in contenders) + 1) < chosen.weight / sum(s.weight for s in contenders)
    assert choice.turn is not None
    assert choice.turn >= 9 * STRIDE - CREDIT
    assert choice == choose(contenders[::-1], 9 * STRIDE)


@given(standings, st.integers(0, 9 * STRIDE))
def test_a_project_alone_is_always_chosen(standing: Standing, now: int) -> None:
    assert choose([standing], now).project == standing.project


@given(weights_of_projects, st.integers(1, 6), st.data())
def test_a_project_without_a_lease_is_served_after_a_bounded_number_of_claims(
    weights: list[int], replicas: int, data: st.DataObject
) -> None:
    # given projects that have competed for a while, with jobs of any length
    pool = Pool(weights, replicas)
    for _ in range(data.draw(st.integers(0, 40))):
        pool.run(pool.claim(), data.draw(st.sampled_from([0.1, 1.0, 100.0])))

    # when one of them waits
    waiting = max(pool.standings.values(), key=lambda standing: (standing.running == 0, standing.turn or 0))
    served = 0
    while waiting.running == 0 and (project := pool.claim()) != waiting.project:
        served += 1
        pool.run(project, data.draw(st.sampled_from([0.1, 1.0, 100.0])))

        # then each other project is served at most as often as its weight allows
        others = [other for other in pool.standings.values() if other.project != waiting.project]
        assert served <= sum(ceil(other.weight * (1 + 1 / waiting.weight)) + 1 for other in others)


@given(weights_of_projects, st.integers(1, 6))
def test_replicas_are_shared_by_weight(weights: list[int], replicas: int) -> None:
    pool, rounds = Pool(weights, replicas), 30
    for _ in range(rounds * sum(weights)):
        pool.run(pool.claim(), 1.0)

    counts = Counter(pool.claims)
    for name, standing in pool.standings.items():
        assert abs(counts[name] - rounds * standing.weight) <= replicas + len(weights)


@given(st.integers(1, 8), st.integers(1, 8), st.integers(0, 60))
def test_a_project_that_had_no_work_does_not_catch_up(busy: int, idle: int, claims: int) -> None:
    # given a project that had no work while another one competed with a third
    pool = Pool([busy, busy, idle], 1)
    for _ in range(claims):
        pool.run(pool.claim("project-2"), 1.0)

    # when it has work, it gets its share from then on, and not more
    pool.claims.clear()
    for _ in range(20 * (2 * busy + idle)):
        pool.run(pool.claim(), 1.0)
    assert abs(pool.claims.count("project-2") - 20 * idle) <= idle + 2


def test_a_long_job_counts_for_as_long_as_it_runs() -> None:
    # given two replicas, one with a long job of the first project
    pool = Pool([1, 1], 2)
    pool.run(pool.claim(), 1000.0)

    # then the other one is left to the second project, whose jobs are short
    for _ in range(50):
        assert pool.claim() == "project-1"
        pool.run("project-1", 1.0)


def test_among_equals_the_older_job_goes_first() -> None:
    new, old = Standing("a", 1, 0, None, "2"), Standing("b", 1, 0, None, "1")

    assert choose([new, old], 0) == Choice("b", 0)
    assert choose([new, replace(old, turn=0)], 0) == Choice("a", 0)
    assert choose([replace(new, turn=0), replace(old, turn=0)], 0) == Choice("b", STRIDE)
