"""Which predictions of a day are sampled: simulated days with fixed seeds."""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from statistics import fmean

import numpy as np
import pytest

from contract.sampling import ReviewSampling, SampleSource, SamplingMix
from services.gateway.serving.sampling.pacing import DAY_S, Margins, Pace
from services.storage.people.sampling_counts import Counted

SETTINGS = ReviewSampling(rate_per_day=100, mix=SamplingMix(margin=0.7, random=0.3, disagreement=0))


@dataclass(frozen=True)
class Prediction:
    label: str
    margin: float
    correct: bool
    other: str | None = None  # the shadow's class


@dataclass(frozen=True)
class Taken:
    gateway: int
    source: SampleSource
    prediction: Prediction


Arrive = Callable[[random.Random], Prediction]


def arrive(draw: random.Random) -> Prediction:
    """A prediction that is right with a probability that grows with its margin."""
    margin = draw.random()
    return Prediction(f"class {draw.randrange(10)}", margin, draw.random() < 0.5 + margin / 2)


class Gateways:
    """Gateways that share their counts perfectly, as often as a request arrives."""

    def __init__(
        self, count: int = 1, settings: ReviewSampling = SETTINGS, shadow: bool = False, seed: int = 1
    ) -> None:
        self.now = 0.0
        self.draw = random.Random(seed)
        self.paces = [Pace(0.0, lambda: self.now, self.draw.random) for _ in range(count)]
        self.seen: list[Prediction] = []
        self._days: list[Counter[str]] = [Counter()]
        for pace in self.paces:
            pace.use(settings, shadow)

    def day(self, requests: int, arrive: Arrive = arrive, seconds: float = DAY_S) -> list[Taken]:
        """Let requests arrive evenly over the first seconds of the next day; return what was sampled."""
        start, today, taken = (len(self._days) - 1) * DAY_S, self._days[-1], []
        for number in range(requests):
            self.now = start + seconds * number / requests
            gateway = number % len(self.paces)
            prediction = arrive(self.draw)
            self.seen.append(prediction)
            pace = self.paces[gateway]
            if number % 20 == 0:
                self._sync(today)
            source = pace.choose(prediction.label, prediction.margin, prediction.other)
            if source is None:
                continue
            pace.taken(source, prediction.label)
            used_up = today[source] >= pace.budgets(source).total  # as the database decides
            pace.ended(source, prediction.label, "budget" if used_up else "")
            if not used_up:
                today[source] += 1
                taken.append(Taken(gateway, source, prediction))
        self._sync(today)
        self._days.append(Counter())
        return taken

    def _sync(self, today: Counter[str]) -> None:
        yesterday = self._days[-2] if len(self._days) > 1 else Counter[str]()
        for pace in self.paces:
            today.update(pace.unsent)
        for pace in self.paces:
            pace.synced(pace.unsent, Counted(dict(today), dict(yesterday), 0))


def by_source(taken: list[Taken]) -> dict[str, int]:
    return dict(Counter(one.source for one in taken))


@pytest.fixture
def gateways() -> Gateways:
    return Gateways()


@pytest.mark.parametrize("requests", [1_000, 10_000])
def test_a_day_has_the_images_of_its_rate_in_the_asked_mix(gateways: Gateways, requests: int) -> None:
    for _ in range(2):
        counts = by_source(gateways.day(requests))
        assert counts["random"] == pytest.approx(30, abs=1)
        assert counts["margin"] == pytest.approx(70, abs=2)


def test_with_few_requests_all_are_sampled(gateways: Gateways) -> None:
    assert len(gateways.day(20)) == 20


def test_with_few_requests_random_images_have_their_share_only() -> None:
    gateways = Gateways()
    taken = [one for _ in range(20) for one in gateways.day(20)]

    assert by_source(taken)["random"] == pytest.approx(0.3 * len(taken), rel=0.25)


def test_the_most_doubtful_images_of_the_day_are_chosen(gateways: Gateways) -> None:
    gateways.day(10_000)
    seen = len(gateways.seen)
    chosen = [one.prediction.margin for one in gateways.day(10_000) if one.source == "margin"]

    best = sorted(one.margin for one in gateways.seen[seen:])[: len(chosen)]
    assert fmean(chosen) < 1.3 * fmean(best)  # of those who know the whole day in advance


def test_the_accuracy_of_the_random_slice_estimates_that_of_all_predictions(gateways: Gateways) -> None:
    taken = [one for _ in range(12) for one in gateways.day(1_000)]
    truth = fmean(one.correct for one in gateways.seen)
    correct = {
        source: [one.prediction.correct for one in taken if one.source == source] for source in ("random", "margin")
    }

    error = (truth * (1 - truth) / len(correct["random"])) ** 0.5
    assert abs(fmean(correct["random"]) - truth) < 2.5 * error  # 75 % are right, 360 are in the slice
    assert fmean(correct["margin"]) < truth - 5 * error  # otherwise the line above would prove nothing


def test_the_random_slice_does_not_depend_on_the_margin(gateways: Gateways) -> None:
    taken = [one.prediction for _ in range(12) for one in gateways.day(1_000) if one.source == "random"]

    quarters = np.histogram([one.margin for one in taken], bins=4, range=(0, 1))[0]
    expected = len(taken) / 4
    chi_squared = ((quarters - expected) ** 2 / expected).sum()
    assert chi_squared < 11.3  # p = 0.01 with three degrees of freedom


def test_one_class_does_not_fill_the_queue() -> None:
    def one_is_doubtful(draw: random.Random) -> Prediction:
        label = draw.randrange(10)
        return Prediction(f"class {label}", draw.random() * (0.01 if label == 0 else 1), True)

    gateways = Gateways()
    for _ in range(2):
        labels = Counter(one.prediction.label for one in gateways.day(5_000, one_is_doubtful) if one.source == "margin")
        assert labels["class 0"] <= 0.2 * 70 + 1  # twice the share of each of ten classes
        assert labels.total() >= 65


def test_classes_that_hardly_occur_take_no_share() -> None:
    def mostly_two(draw: random.Random) -> Prediction:
        label = draw.randrange(500) if draw.random() < 0.02 else draw.randrange(2)
        return Prediction(f"class {label}", draw.random(), True)

    gateways = Gateways()
    gateways.day(3_000, mostly_two)

    assert by_source(gateways.day(3_000, mostly_two))["margin"] >= 68


def test_gateways_share_the_budget_of_a_day() -> None:
    gateways = Gateways(count=3)
    gateways.day(3_000)
    taken = gateways.day(6_000)

    assert by_source(taken)["margin"] <= 70
    assert by_source(taken)["random"] <= 30
    shares = Counter(one.gateway for one in taken)
    assert min(shares.values()) >= 20  # of 100, a third for each


def test_a_burst_on_the_first_day_leaves_some_of_the_budget() -> None:
    gateways = Gateways()

    assert 20 < len(gateways.day(2_000, seconds=2.0)) < 80


def test_only_disagreements_with_the_shadow_use_their_share() -> None:
    settings = ReviewSampling(rate_per_day=100, mix=SamplingMix(margin=0.5, random=0.2, disagreement=0.3))

    def disagree(draw: random.Random) -> Prediction:
        return Prediction("cat", draw.random(), True, "dog" if draw.random() < 0.1 else "cat")

    gateways = Gateways(settings=settings, shadow=True)
    for _ in range(2):
        taken = gateways.day(4_000, disagree)

    assert by_source(taken)["disagreement"] == pytest.approx(18, abs=1)  # 60 % of 30: all are cats
    assert {one.prediction.other for one in taken if one.source == "disagreement"} == {"dog"}


def test_settings_that_change_apply_at_once(gateways: Gateways) -> None:
    gateways.day(1_000)
    (pace,) = gateways.paces
    pace.use(ReviewSampling(rate_per_day=1, mix=SamplingMix(margin=0, random=1, disagreement=0)), False)

    assert by_source(gateways.day(1_000)) == {"random": 1}


@pytest.mark.parametrize("share", [0.0005, 0.01, 0.3])
def test_the_histogram_of_margins_gives_quantiles(share: float) -> None:
    draw = np.random.default_rng(5).random(20_000) ** 2
    margins = Margins()
    for margin in draw:
        margins.add(float(margin))

    assert margins.below(share) == pytest.approx(np.quantile(draw, share), rel=0.15, abs=1e-7)
    assert margins.below(1.0) == float("inf")


def test_margins_of_zero_and_one_are_counted() -> None:
    margins = Margins()
    for margin in (0.0, 1.0):
        margins.add(margin)

    assert margins.below(0.4) < 1e-6
    assert 0.9 < margins.below(0.6) <= 1
