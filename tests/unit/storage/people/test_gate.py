"""The gate of pipelines: who is promoted, and the reason."""

import pytest

from contract.errors import Invalid
from contract.pipelines import Gate
from services.storage.people.gate import decide, out_of_reach
from tests.support.comparisons import BETTER, EVEN, WORSE, WORSE_ON_DOGS, Counts, report


@pytest.mark.parametrize(
    ("counts", "passed", "reason"),
    [
        pytest.param(
            WORSE,
            False,
            "cats@5 is right on 86.6 % of 1,000 images, cats@4 on 90 %: worse by 3.4 points",
            id="worse",
        ),
        pytest.param(
            EVEN, False, "cats@5 is right on 90 % of 1,000 images, cats@4 on 90 %: not better", id="equally good"
        ),
        pytest.param(
            {"cat": (500, 450, 0, 0), "dog": (500, 450, 0, 0)},
            False,
            "cats@5 is right on 90 % of 1,000 images, cats@4 on 90 %: not better",
            id="the same answers",
        ),
        pytest.param(
            {"cat": (25, 23, 0, 0)},
            False,
            "cats@5 is right on 92 % of 25 images, cats@4 on 92 %: not better; with 25 test images and a champion at"
            " 92 %, no candidate can pass; about 63 test images are needed",
            id="nobody could be better",
        ),
        pytest.param(
            {"cat": (25, 23, 2, 0)},
            False,
            "cats@5 is right on 100 % of 25 images, cats@4 on 92 %: better by 8 points, but these are too few images to"
            " be sure. A model that is no better would look as good in 25 % of cases, and 5 % is the most allowed; with"
            " 25 test images and a champion at 92 %, no candidate can pass; about 63 test images are needed",
            id="a perfect candidate on too few images",
        ),
        pytest.param(
            {"cat": (500, 450, 2, 0), "dog": (500, 450, 2, 0)},
            False,
            "cats@5 is right on 90.4 % of 1,000 images, cats@4 on 90 %: better by 0.4 points, 0.5 points needed",
            id="better by less than the margin",
        ),
        pytest.param(
            BETTER,
            True,
            "cats@5 is right on 93.4 % of 1,000 images, cats@4 on 90 %: better by 3.4 points, with 95 % confidence by"
            " at least 2.1 points, 0.5 points needed; no class is shown to fall by more than 5 points",
            id="better",
        ),
        pytest.param(
            WORSE_ON_DOGS,
            False,
            "cats@5 is right on 93.4 % of 1,000 images, cats@4 on 90 %: better by 3.4 points, with 95 % confidence by"
            " at least 1.8 points, 0.5 points needed; but it is worse on 'dog': right on 81 % of 200 images, cats@4 on"
            " 90 %; a class may fall by 5 points",
            id="better overall and worse on one class",
        ),
        pytest.param(
            {"cat": (300, 125, 175, 1)},
            True,
            "cats@5 is right on 99.7 % of 300 images, cats@4 on 41.7 %: better by 58 points, with 95 % confidence by at"
            " least 53.1 points, 0.5 points needed; no class is shown to fall by more than 5 points",
            id="one decimal",
        ),
        pytest.param(
            {"cat": (3000, 2700, 14, 0)},
            False,
            "cats@5 is right on 90.5 % of 3,000 images, cats@4 on 90 %: better by 0.46 points, 0.5 points needed",
            id="not rounded up to the margin",
        ),
        pytest.param(
            {"cat": (25, 20, 3, 1), "dog": (25, 20, 1, 0)},
            False,
            "cats@5 is right on 86 % of 50 images, cats@4 on 80 %: better by 6 points, but these are too few images to"
            " be sure. A model that is no better would look as good in 18.75 % of cases, and 5 % is the most allowed;"
            " about 87 images would show it",
            id="too few images to tell",
        ),
    ],
)
def test_a_candidate_is_promoted_only_if_it_is_shown_to_be_better(counts: Counts, passed: bool, reason: str) -> None:
    decision = decide(report(counts), Gate())

    assert (decision.passed, decision.reason) == (passed, reason)


def test_a_small_class_does_not_block_by_chance_and_a_note_names_it() -> None:
    decision = decide(report(BETTER | {"owl": (5, 4, 0, 2)}), Gate())

    assert decision.passed
    assert decision.notes == (
        "'owl' falls by 40 points, but on 5 images only: 2 lost, 0 gained, which chance alone would give in 25 % of"
        " cases",
    )


def test_a_class_that_is_shown_to_fall_by_less_than_its_margin_does_not_block() -> None:
    counts = {"cat": (500, 400, 90, 8), "owl": (500, 450, 0, 20)}

    assert decide(report(counts), Gate()).passed
    assert not decide(report(counts), Gate(no_class_falls_by=0.03)).passed


def test_several_classes_that_fall_are_counted() -> None:
    counts = {
        "cat": (2000, 1800, 150, 8),
        "dog": (100, 90, 0, 30),
        "owl": (100, 90, 0, 20),
        "pig": (100, 90, 0, 10),
    }

    assert (
        "worse on 'dog', and on 2 other classes: right on 60 % of 100 images" in decide(report(counts), Gate()).reason
    )


def test_a_class_that_falls_is_a_note_if_the_candidate_is_not_better_anyway() -> None:
    decision = decide(report(WORSE | {"dog": (500, 450, 0, 100)}), Gate())

    assert decision.reason.endswith("worse by 11.7 points")
    assert decision.notes == (
        "it is worse on 'dog': right on 70 % of 500 images, cats@4 on 90 %; a class may fall by 5 points",
    )


def test_a_score_test_that_is_sure_of_three_images_is_not_enough() -> None:
    """Tango's test alone would be sure of three images and none lost (4 %); the exact test is not (12.5 %)."""
    decision = decide(report({"cat": (50, 40, 3, 0)}), Gate(better_by=0.0))

    assert (decision.passed, decision.chance) == (False, pytest.approx(0.125))
    assert "A model that is no better would look as good in 12.5 % of cases" in decision.reason


def test_more_confidence_asks_for_more_images() -> None:
    counts = {"cat": (1000, 900, 30, 12)}

    assert decide(report(counts), Gate(confidence=0.9)).passed
    assert not decide(report(counts), Gate(confidence=0.999)).passed


def test_an_evaluation_by_an_older_release_is_evaluated_again() -> None:
    judged = report(BETTER)
    assert judged.comparison is not None
    older = judged.model_copy(update={"comparison": judged.comparison.model_copy(update={"by_class": {}})})

    decision = decide(older, Gate())

    assert not decision.passed
    assert "but a replica of an older release has evaluated it" in decision.reason


def test_an_evaluation_without_a_champion_decides_nothing() -> None:
    with pytest.raises(Invalid, match="compare_with"):
        decide(report(BETTER).model_copy(update={"baseline": None}), Gate())


def test_a_decision_has_the_classes_that_change_most() -> None:
    counts = BETTER | {f"class {number}": (100, 90, 1, number % 3) for number in range(30)}

    decision = decide(report(counts), Gate())

    assert len(decision.classes) == 10
    assert all(change.worse == 2 for change in decision.classes[:10])


@pytest.mark.parametrize(
    ("images", "wrong", "gate", "reachable"),
    [
        (25, 2, Gate(), False),
        (50, 4, Gate(), False),
        (63, 5, Gate(), True),
        (100, 5, Gate(confidence=0.99), False),
        (100, 0, Gate(), False),
        (10_000, 40, Gate(), False),
        (10_000, 40, Gate(better_by=0.0), True),
        (5, 5, Gate(), True),
    ],
)
def test_a_gate_is_within_reach_if_a_perfect_candidate_passes(
    images: int, wrong: int, gate: Gate, reachable: bool
) -> None:
    why = out_of_reach(images, 1 - wrong / images, gate)

    perfect = decide(report({"cat": (images, images - wrong, wrong, 0)}), gate)
    assert (why is None, perfect.passed) == (reachable, reachable)


def test_a_champion_with_too_few_mistakes_is_not_to_be_beaten_on_more_images() -> None:
    assert out_of_reach(1000, 0.996, Gate()) == (
        "with 1,000 test images and a champion at 99.6 %, no candidate can pass: the champion makes too few mistakes"
        " to be beaten by 0.5 points"
    )
