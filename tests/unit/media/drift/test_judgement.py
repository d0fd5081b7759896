"""The alarm rule, the windows of days, and the estimate of the accuracy."""

from collections.abc import Mapping
from datetime import date, timedelta

import numpy as np
import pytest

from contract.drift import DriftCounts, DriftReference, StatisticName
from media.drift.counting import bin_counts
from media.drift.expected import Served, estimated_accuracy, histograms
from media.drift.judgement import ALARMING, ENOUGH, FEWEST, differences
from media.drift.windows import LONGEST, window

LABELS = ("cat", "dog", "owl", "pig")
TODAY = date(2026, 1, 31)


def counts(
    images: int,
    seed: int = 0,
    shares: tuple[float, ...] = (0.4, 0.3, 0.2, 0.1),
    *,
    brightness: float = 120,
    sharpness: float = -4,
    score: float = 8,
    width: float = 9,
) -> DriftCounts:
    """What a version counts of random images; the numbers are means."""
    random = np.random.default_rng(seed)
    values = {
        "brightness": random.normal(brightness, 30, images),
        "sharpness": random.normal(sharpness, 1, images),
        "width": random.normal(width, 1, images),
        "height": random.normal(9, 1, images),
    }
    scores = random.beta(score, 2, images)
    return DriftCounts(
        classes=dict(zip(LABELS, random.multinomial(images, shares).tolist(), strict=True)),
        confidence=bin_counts("confidence", scores),
        confidence_sum=float(scores.sum()),
        **{name: bin_counts(name, column) for name, column in values.items()},
    )


def reference(images: int = 1000, accuracy: float = 0.8, **changes: float) -> DriftReference:
    return DriftReference.model_validate(counts(images, seed=1, **changes).model_dump() | {"accuracy": accuracy})


def changed(requests: DriftCounts) -> set[StatisticName]:
    return {row.statistic for row in differences([Served(requests, reference())]) if row.changed}


@pytest.mark.parametrize("images", [FEWEST, ENOUGH, 20_000])
def test_requests_like_the_reference_change_nothing(images: int) -> None:
    assert all(changed(counts(images, seed)) == set() for seed in range(2, 12))


@pytest.mark.parametrize(
    ("changes", "statistic", "words"),
    [
        ({"brightness": 70}, "brightness", "the images are darker: typically 7"),
        ({"sharpness": -6}, "sharpness", "the images are less sharp"),
        ({"score": 3}, "confidence", "the model is less confident"),
        ({"shares": (0.5, 0.0, 0.35, 0.15)}, "classes", "'dog' is 0.0 % of the answers instead of "),
        ({"width": 7}, "width", "the images are narrower: typically "),
    ],
)
def test_a_change_is_noticed_and_said(changes: Mapping[str, float], statistic: StatisticName, words: str) -> None:
    requests = counts(300, **changes)

    assert changed(requests) == {statistic}
    (row,) = (row for row in differences([Served(requests, reference())]) if row.changed)
    assert row.summary.startswith(words)
    assert row.alarms is (statistic in ALARMING)
    assert sum(bar.observed for bar in row.bins) == pytest.approx(1)
    assert sum(bar.reference for bar in row.bins) == pytest.approx(1)


def test_a_small_difference_is_no_change_however_many_images_prove_it() -> None:
    (row,) = (
        row
        for row in differences([Served(counts(200_000, brightness=121), reference(200_000))])
        if row.statistic == "brightness"
    )

    assert row.p_value < 1e-6
    assert not row.changed


def test_too_few_images_are_not_judged() -> None:
    assert differences([Served(counts(FEWEST - 1, brightness=10), reference())]) == ()
    assert differences([]) == ()


def test_a_statistic_that_the_reference_lacks_is_left_out() -> None:
    without = reference().model_copy(update={"width": (), "height": ()})

    assert [row.statistic for row in differences([Served(counts(200), without)])] == list(ALARMING)


def test_a_statistic_that_another_release_counted_in_other_bins_is_left_out() -> None:
    older = counts(200).model_copy(update={"brightness": (100, 100)})
    reference_of_then = reference().model_copy(update={"brightness": (500, 500)})

    rows = differences([Served(older, reference_of_then), Served(counts(200), reference())])

    assert {row.statistic: row.images for row in rows if row.alarms} == {
        "classes": 400,
        "confidence": 400,
        "brightness": 200,
        "sharpness": 400,
    }


def test_many_classes_are_shown_by_size() -> None:
    labels = [f"class-{number}" for number in range(100)]
    shown = DriftCounts(classes=dict.fromkeys(labels, 10), confidence=(1000,))

    row = differences([Served(shown, DriftReference(**shown.model_dump(), accuracy=1.0))])[0]

    assert (row.statistic, len(row.bins), row.bins[-1].bin) == ("classes", 31, "70 others")
    assert row.bins[-1].observed == pytest.approx(0.7)


def test_versions_are_compared_with_their_own_references_by_their_shares() -> None:
    # given two versions whose images differ, one with three times the requests of the other
    dark, bright = counts(300, brightness=60), counts(900, brightness=200)
    served = [Served(dark, reference(brightness=60)), Served(bright, reference(2000, brightness=200))]

    observed, expected = histograms(served, "brightness", LABELS)

    assert sum(observed) == 1200
    assert sum(expected) == pytest.approx(1 / (0.25**2 / 1000 + 0.75**2 / 2000))
    assert sum(expected[:8]) / sum(expected) == pytest.approx(0.25, abs=0.02)
    assert not any(row.changed for row in differences(served))


def test_the_estimate_is_the_mean_score() -> None:
    requests, validated = counts(1000, score=4), reference(accuracy=0.8)

    estimate = estimated_accuracy([Served(requests, validated)])

    assert estimate is not None
    assert estimate.estimate == pytest.approx(requests.confidence_sum / 1000)
    assert estimate.on_validation == pytest.approx(validated.confidence_sum / 1000)
    assert (estimate.validation_accuracy, estimated_accuracy([])) == (pytest.approx(0.8), None)


def test_a_day_with_enough_predictions_is_judged_alone() -> None:
    days = {TODAY: {1: counts(ENOUGH)}, TODAY - timedelta(days=1): {1: counts(5)}}

    assert window(days, TODAY) == (TODAY, {1: counts(ENOUGH)})


def test_a_quiet_day_is_judged_with_those_before() -> None:
    days = {TODAY - timedelta(days=number): {number % 2: counts(100)} for number in range(0, 20, 2)}
    days[TODAY - timedelta(days=3)] = {7: counts(300)}

    first, sums = window(days, TODAY)

    assert first == TODAY - timedelta(days=3)
    assert {version: total.predictions for version, total in sums.items()} == {0: 200, 7: 300}


def test_a_window_has_an_end() -> None:
    old = {TODAY - timedelta(days=LONGEST): {1: counts(5000)}}

    assert window(old, TODAY) == (TODAY, {})
    assert window({}, TODAY) == (TODAY, {})
