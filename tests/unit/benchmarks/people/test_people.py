"""Each part of the benchmark on features of a few images, and its page."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from benchmarks.people import gate, label_errors, loop
from benchmarks.people.choosing import WAYS, Candidates, by_margin, by_mix
from benchmarks.people.curves import Curve, Goal
from benchmarks.people.paced import Paced
from benchmarks.people.photos import Labelled, Photos
from benchmarks.people.report import Results
from contract.sampling import SamplingMix


@pytest.fixture(scope="module")
def photos() -> Photos:
    """Return three classes, of which two overlap."""
    rng = np.random.default_rng(0)
    centres = np.array([[4, 0, 0, 0], [0, 4, 0, 0], [0, 3.6, 0.4, 0]], np.float32)

    def split(count: int) -> Labelled:
        labels = np.arange(count) % 3
        return (centres[labels] + rng.normal(size=(count, 4))).astype(np.float32), labels

    return Photos(("ant", "bee", "cat"), split(240), split(60), split(90))


def candidates(margins: list[float], shadow: list[int] | None = None) -> Candidates:
    """Return images of class 0 with these differences of two logits; `shadow` are the classes of the other model."""
    logits = np.stack([np.array(margins), np.zeros(len(margins))], axis=1).astype(np.float32)
    other = None if shadow is None else np.eye(2, dtype=np.float32)[shadow]
    return Candidates(logits, other, (logits, np.zeros(len(margins), np.int64)), np.random.default_rng(0))


def test_features_are_the_same_from_their_file(photos: Photos, tmp_path: Path) -> None:
    photos.save(tmp_path / "a.npz")

    again = Photos.of_file(tmp_path / "a.npz")

    assert again.classes == photos.classes
    np.testing.assert_array_equal(again.val[1], photos.val[1])
    np.testing.assert_array_equal(again.test[0], photos.test[0].astype(np.float16))


def test_the_smallest_margins_are_chosen_first() -> None:
    assert by_margin(candidates([3, 1, 2, 0.5]), 2).tolist() == [3, 1]


def test_a_cap_leaves_room_for_other_classes() -> None:
    # given three images of class 0 with small margins, and one of class 1 with a large one
    assert by_margin(candidates([1, 2, 3, -9]), 2, cap=0.5).tolist() == [0, 3]


def test_a_mix_takes_its_shares_and_never_an_image_twice() -> None:
    images = candidates(list(range(1, 101)), shadow=[0] * 90 + [1] * 10)

    chosen = by_mix(images, 20, {"margin": 0.5, "random": 0.2, "disagreement": 0.3})

    assert len(set(chosen.tolist())) == 20
    assert sum(row >= 90 for row in chosen) >= 6
    assert set(range(8)) <= set(chosen.tolist())


@pytest.mark.parametrize("way", WAYS)
def test_each_way_chooses_as_many_images_as_asked_and_none_twice(way: str) -> None:
    images = candidates(list(range(1, 101)), shadow=[0, 1] * 50)

    chosen = WAYS[way](images, 20)

    assert len(set(chosen.tolist())) == 20


def test_the_loop_labels_every_image_once_and_learns(photos: Photos) -> None:
    lines = loop.run(photos, WAYS["mix"], seed=0)

    assert [line["answers"] for line in lines] == [0, 100, 200, 216]
    assert lines[-1]["accuracy"] > 0.6
    assert lines[-1] == pytest.approx(loop.of_all(photos), abs=0.02)


def test_the_gateways_sampler_takes_its_share_of_each_day(photos: Photos) -> None:
    lines = loop.run(photos, Paced(SamplingMix(), 50, seed=0), seed=0, a_day=100)

    answers = [line["answers"] for line in lines]
    assert all(0 < later - earlier <= 50 for earlier, later in pairwise(answers))
    assert 216 - answers[-1] < 100


def test_a_curve_of_runs_with_other_numbers_of_answers_is_at_multiples_of_a_hundred() -> None:
    runs = [[{"answers": count, "accuracy": count / 1000} for count in counts] for counts in ((0, 98, 220), (0, 210))]

    curve = Curve.of(runs)

    assert curve.answers == (0, 100, 200)
    np.testing.assert_allclose(curve.mean, [0, 0.1, 0.2])


def test_fewer_answers_for_the_accuracy_of_random_choice_are_savings() -> None:
    answers = (0, 100, 200, 300, 400)
    slow, fast = (
        Curve(answers, np.array([values])) for values in ([0.5, 0.6, 0.7, 0.8, 0.9], [0.5, 0.8, 0.9, 0.9, 0.9])
    )

    goal = Goal(400, 0.9)
    assert (goal.saving(slow), goal.saving(fast)) == ((400, 0.0), (300, 0.25))
    assert Goal(400, 0.95).saving(fast) is None


def test_wrong_labels_are_found_and_correcting_them_helps(photos: Photos) -> None:
    line = label_errors.measure(photos, "uniform", seed=0, share=0.2)

    assert line["wrong"] == 48
    assert line["found"][-1]["recall"] > 0.5
    assert line["reviewed"][-1]["loss"] < line["noisy"]["loss"]


def test_confusable_classes_are_taken_for_each_other(photos: Photos) -> None:
    labels = label_errors.flipped(photos, "confusable", 0.2, np.random.default_rng(0))

    wrong = labels != photos.train[1]
    pairs = set(zip(labels[wrong].tolist(), photos.train[1][wrong].tolist(), strict=True))
    assert {(1, 2), (2, 1)} <= pairs
    assert wrong.sum() == 48


def test_candidates_of_the_gate_differ_from_the_champion_as_their_kind_says(photos: Photos) -> None:
    images = gate.population(photos, seed=0)
    rows = np.repeat(np.arange(len(images.truth)), 50)
    worse = gate.Kind("a class falls", better=0.02, fall=0.2)

    right = gate.candidate_logits(images, worse, rows, np.random.default_rng(0)).argmax(axis=1) == images.truth[rows]

    falling = images.truth[rows] == images.falling
    assert right.mean() - images.right.mean() == pytest.approx(0.02, abs=0.01)
    assert right[falling].mean() - images.right[images.truth == images.falling].mean() == pytest.approx(-0.2, abs=0.03)


def test_a_much_better_candidate_passes_the_gate_and_a_worse_one_does_not(photos: Photos) -> None:
    lines = list(gate.measure(photos, seeds=1, runs=2, sizes=(4000,)))

    promoted = {line["kind"]: line["promoted"] for line in lines}
    assert (promoted["better by 5 points"], promoted["worse by 2 points"]) == ([2], [0])


def test_the_page_has_every_part(photos: Photos, tmp_path: Path) -> None:
    results, ran_on = Results(tmp_path), {"CPU": "a CPU"}
    for way, accuracies in {"random": (0.5, 0.6, 0.7, 0.75), "margin": (0.5, 0.7, 0.75, 0.8)}.items():
        run = [
            {"answers": 100 * number, "accuracy": accuracy, "loss": 1 - accuracy}
            for number, accuracy in enumerate(accuracies)
        ]
        results.keep_way("photos", way, [run, run], ran_on)
    results.keep("all answers", {"photos": {"answers": 400, "accuracy": 0.75, "loss": 0.2}}, ran_on)
    results.keep("label errors", [label_errors.measure(photos, "uniform", seed=0)] * 2, ran_on)
    results.keep("gate", list(gate.measure(photos, seeds=1, runs=1, sizes=(200,))), ran_on)

    Results(tmp_path).write()

    page = (tmp_path / "people.md").read_text()
    assert "| margin | 80.0 ± 0.0 | 200 (33% fewer) | 200 (50% fewer) |" in page
    assert "| margin | 0.200 ± 0.000 | 200 (33% fewer) | 300 (25% fewer) |" in page
    assert "| uniform | no wrong labels | 0 |" in page
    assert "| better by 5 points | yes |" in page
    assert (tmp_path / "people.png").stat().st_size > 0
