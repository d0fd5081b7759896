"""The gate of pipelines: promote a candidate only if its evaluation shows that it is better. Pure functions."""

import math

from contract.errors import Invalid
from contract.evaluation import Baseline, Comparison, EvaluationReport
from contract.pipelines import ClassChange, Gate, GateDecision
from media.judging.paired import at_least, chance_of, chance_of_margin, images_to_show

CLASSES = 10  # in a decision
_ROUNDING = 1e-9  # of differences of shares
_MOST_MISTAKES = 1000  # of the champion, when images are counted that are needed


def decide(report: EvaluationReport, gate: Gate) -> GateDecision:
    """Decide on the model of a report, the candidate, against its baseline, the champion; raises Invalid without one.

    The candidate passes if two one-sided tests on the same images are sure of it, and no class falls. The score test of
    Tango (1998) must exclude that it is better by no more than `better_by`. The exact test of McNemar (1947) must
    exclude that it is no better at all, because for few images the score test is sure too soon. A class falls if its
    accuracy is lower by more than `no_class_falls_by`, and the exact test on its images alone excludes chance: of a
    class of five, one or two lost images do not. Classes are tested without a correction for their number, which would
    hide falls: with many, chance stops a candidate more often, and never promotes one.
    """
    baseline, comparison = report.baseline, report.comparison
    if baseline is None or comparison is None:
        raise Invalid("the evaluation compares with no other model; name one in compare_with")
    better, worse, count = comparison.better, comparison.worse, report.count
    chance = _chance(better, worse, count, gate)
    changes = _changes(report, baseline, comparison)
    falls = [change for change in changes if _fall(change) > gate.no_class_falls_by + _ROUNDING]
    proven = [change for change in falls if _excluded(change.chance, gate)]
    passed, reason = _overall(report, baseline, comparison, chance, gate)
    notes = [_unproven(change) for change in falls if change not in proven]
    if passed and not comparison.by_class:
        older = "a replica of an older release has evaluated it, which does not count by class; evaluate it again"
        passed, reason = False, f"{reason}; but {older}"
    elif proven and passed:
        passed, reason = False, f"{reason}; but {_falls(proven, baseline.model, gate)}"
    elif proven:
        notes.insert(0, _falls(proven, baseline.model, gate))
    elif passed:
        reason = f"{reason}; no class is shown to fall by more than {_margin(gate.no_class_falls_by)}"
    return GateDecision(
        passed=passed,
        reason=reason,
        notes=tuple(notes),
        images=count,
        accuracy=report.metrics.accuracy,
        champion_accuracy=baseline.metrics.accuracy,
        better=better,
        worse=worse,
        at_least=at_least(better, worse, count, gate.confidence),
        chance=chance,
        classes=tuple(change for change in changes if change.better or change.worse)[:CLASSES],
    )


def out_of_reach(images: int, accuracy: float, gate: Gate) -> str | None:
    """Return why no candidate can pass on so many test images, in a clause; None if one can.

    A perfect candidate is better on the k = n · (1 - a) of n images that a champion of accuracy a gets wrong, and worse
    on none. It passes if k / n is at least `better_by` and both tests of `decide` are sure: the one-sided exact test
    has p = 0.5 ** k, so that a confidence of 95 % takes five mistakes. With fewer, no candidate can pass.
    """
    mistakes = round(images * (1 - accuracy))
    if _perfect_passes(mistakes, images, gate):
        return None
    with_images = f"with {images:,} test {'image' if images == 1 else 'images'} and a champion at {_accuracy(accuracy)}"
    needed = _images_for_perfect(1 - accuracy, gate)
    if needed is None:
        beaten = f"the champion makes too few mistakes to be beaten by {_margin(gate.better_by)}"
        return f"{with_images}, no candidate can pass: {beaten}"
    return f"{with_images}, no candidate can pass; about {_rounded(needed)} test images are needed"


def _images_for_perfect(mistaken: float, gate: Gate) -> int | None:
    """Return how many images a perfect candidate needs if the champion is wrong on this share of them."""
    if mistaken <= _ROUNDING:
        return None
    counts = ((mistakes, math.ceil(mistakes / mistaken - _ROUNDING)) for mistakes in range(1, _MOST_MISTAKES + 1))
    return next((images for mistakes, images in counts if _perfect_passes(mistakes, images, gate)), None)


def _perfect_passes(mistakes: int, images: int, gate: Gate) -> bool:
    if not mistakes or mistakes / images + _ROUNDING < gate.better_by:
        return False
    return _excluded(_chance(mistakes, 0, images, gate), gate)


def _chance(better: int, worse: int, images: int, gate: Gate) -> float:
    """Return the larger p value of the two tests."""
    return max(chance_of(better, worse), chance_of_margin(better, worse, images, gate.better_by))


def _changes(report: EvaluationReport, baseline: Baseline, comparison: Comparison) -> list[ClassChange]:
    """Return the classes that have images, the largest fall first."""
    changes = [
        ClassChange(
            label=label,
            images=report.metrics.per_class[label].support,
            accuracy=report.metrics.per_class[label].recall,
            champion_accuracy=baseline.metrics.per_class[label].recall,
            better=counts.better,
            worse=counts.worse,
            chance=chance_of(counts.worse, counts.better),
        )
        for label, counts in comparison.by_class.items()
    ]
    return sorted(changes, key=lambda change: (-_fall(change), change.label))


def _overall(
    report: EvaluationReport, baseline: Baseline, comparison: Comparison, chance: float, gate: Gate
) -> tuple[bool, str]:
    """Return whether the candidate is better by the margin, with a sentence."""
    better, worse, count = comparison.better, comparison.worse, report.count
    difference = (better - worse) / count
    what = (
        f"{report.model} is right on {_accuracy(report.metrics.accuracy)} of {_images(count)}, {baseline.model} on "
        f"{_accuracy(baseline.metrics.accuracy)}"
    )
    needed = f"{_margin(gate.better_by)} needed"
    why = out_of_reach(count, baseline.metrics.accuracy, gate)
    hint = f"; {why}" if why else ""
    if difference < 0:
        return False, f"{what}: worse by {_points(-difference)}{hint}"
    if not difference:
        return False, f"{what}: not better{hint}"
    if difference + _ROUNDING < gate.better_by:
        return False, f"{what}: better by {_margin(math.floor(1e4 * (difference + _ROUNDING)) / 1e4)}, {needed}{hint}"
    if _excluded(chance, gate):
        shown = math.floor(1e3 * at_least(better, worse, count, gate.confidence)) / 1e3
        confidence = f"with {_percent(gate.confidence)} confidence by at least {_margin(shown)}"
        return True, f"{what}: better by {_points(difference)}, {confidence}, {needed}"
    other = "no better" if chance == chance_of(better, worse) else f"better by only {_margin(gate.better_by)}"
    sentence = (
        f"{what}: better by {_points(difference)}, but these are too few images to be sure. A model that is {other} "
        f"would look as good in {_percent(chance)} of cases, and {_percent(1 - gate.confidence)} is the most allowed"
    )
    if why:
        return False, f"{sentence}{hint}"
    more = images_to_show(better, worse, count, gate.better_by, gate.confidence)
    return (
        False,
        sentence if more is None or more <= count else f"{sentence}; about {_rounded(more)} images would show it",
    )


def _excluded(chance: float, gate: Gate) -> bool:
    return chance <= 1 - gate.confidence + _ROUNDING


def _fall(change: ClassChange) -> float:
    return (change.worse - change.better) / change.images


def _falls(changes: list[ClassChange], champion: str, gate: Gate) -> str:
    worst, others = changes[0], len(changes) - 1
    more = f", and on {others} other {'class' if others == 1 else 'classes'}" if others else ""
    return (
        f"it is worse on {worst.label!r}{more}: right on {_accuracy(worst.accuracy)} of {_images(worst.images)}, "
        f"{champion} on {_accuracy(worst.champion_accuracy)}; a class may fall by {_margin(gate.no_class_falls_by)}"
    )


def _unproven(change: ClassChange) -> str:
    return (
        f"{change.label!r} falls by {_points(_fall(change))}, but on {_images(change.images)} only: {change.worse} "
        f"lost, {change.better} gained, which chance alone would give in {_percent(change.chance)} of cases"
    )


def _images(count: int) -> str:
    return "1 image" if count == 1 else f"{count:,} images"


def _percent(share: float) -> str:
    return f"{_short(share)} %"


def _accuracy(share: float) -> str:
    return f"{_short(share, 1)} %"


def _margin(difference: float) -> str:
    return _with_unit(_short(difference))


def _points(difference: float) -> str:
    """Return a measured difference: from one point on with one decimal."""
    return _with_unit(_short(difference, 1 if difference >= 0.01 else 2))


def _with_unit(number: str) -> str:
    return f"{number} {'point' if number == '1' else 'points'}"


def _short(share: float, digits: int = 2) -> str:
    return f"{100 * share:.{digits}f}".rstrip("0").rstrip(".")


def _rounded(number: int) -> str:
    """Return a number with two digits that count, rounded up."""
    unit = 10 ** max(0, len(str(number)) - 2)
    return f"{math.ceil(number / unit) * unit:,}"
