"""How likely a prediction is sampled, so that the budget of a day is spent on its most doubtful images.

The policy is the budget ratio for the multisecretary problem: take a candidate if it is among the best share
`budget left / candidates to come` of the distribution. Its regret does not grow with the number of candidates
(A. Arlotto and I. Gurvich, "Uniformly Bounded Regret in the Multisecretary Problem", Stochastic Systems 9(3), 2019).
The distribution of margins is estimated by a histogram. The candidates to come are the rate of the day, times the rest
of it; the rate is the mean of a Gamma posterior whose prior is the rate of yesterday.
"""

import math
import random
from collections import Counter
from collections.abc import Callable

from contract.sampling import ReviewSampling, SampleSource
from services.storage.people.sampling_counts import Budgets, Counted

DAY_S = 86400.0
FIRST_DAY_S = 3600.0  # of no requests, as the prior of a first day: a burst takes part of the budget, not all of it
LATER_DAY_S = 12 * 3600.0  # of yesterday's rate, as the prior of other days
SEEN, DISAGREED = "seen", "disagreed"  # counters
EQUAL_SHARES = 2  # a class may take twice its equal share of a source's budget
LARGEST_SHARE = 0.6

_BINS_PER_OCTAVE = 8
_OCTAVES = 24  # below 1; smaller margins share the first bin
_BINS = _BINS_PER_OCTAVE * _OCTAVES
_LEAST = 2.0**-_OCTAVES
_MOST = 1 << 17  # margins; then all are halved, so that old ones fade


class Margins:
    """The distribution of recent margins (0..1), with fine bins near zero."""

    def __init__(self) -> None:
        self._counts = [0.0] * _BINS
        self.total = 0.0

    def add(self, margin: float) -> None:
        position = int((math.log2(margin) + _OCTAVES) * _BINS_PER_OCTAVE) if margin > _LEAST else 0
        self._counts[position if position < _BINS else _BINS - 1] += 1
        self.total += 1
        if self.total >= _MOST:
            self._counts = [count / 2 for count in self._counts]
            self.total /= 2

    def below(self, share: float) -> float:
        """Return the margin below which this share of all margins is; infinity if it is all of them."""
        remaining = share * self.total
        if share >= 1:
            return math.inf
        for position, count in enumerate(self._counts):
            if count > remaining:
                low = _edge(position) if position else 0.0
                high = _edge(position + 1)
                return low + (high - low) * remaining / count
            remaining -= count
        return math.inf


def _edge(position: int) -> float:
    """Return the lower edge of a bin."""
    return math.exp2(position / _BINS_PER_OCTAVE - _OCTAVES)


class Pace:
    """The sampling of one alias in this gateway: what was seen today and what is left of the day's budget.

    All gateways count in the database; between two calls of `synced`, this one adds its own numbers to what all had.
    """

    def __init__(self, since: float, clock: Callable[[], float], draw: Callable[[], float] = random.random) -> None:
        """Sampling is on `since` a moment; `clock` has seconds since 1970, `draw` random numbers."""
        self._since = since
        self._clock = clock
        self._draw = draw
        self._margins = Margins()
        self._day = int(clock() // DAY_S)
        self._settings, self._has_shadow = ReviewSampling(), False
        self._seen = self._disagreements = 0  # since the last `synced`
        self._today: Counter[str] = Counter()
        self._yesterday: Counter[str] = Counter()
        self._pending: Counter[str] = Counter()
        self._classes: dict[str, int] = {}
        self._taken_of_class: Counter[tuple[str, str]] = Counter()
        self._effective_classes = 1.0
        self._random_share = self._disagreement_share = self._threshold = 0.0

    def use(self, settings: ReviewSampling, has_shadow: bool) -> None:
        """Follow these settings from now on."""
        if settings is not self._settings or has_shadow != self._has_shadow:
            self._settings, self._has_shadow = settings, has_shadow
            self.update()

    def choose(self, label: str, margin: float, other: str | None, room: bool = True) -> SampleSource | None:
        """Count a prediction; return why it is sampled, None if it is not, or if there is no `room` for it now.

        `other` is the shadow's class. The random slice is drawn first, without regard to the prediction, so that it
        represents all of them.
        """
        self._seen += 1
        self._classes[label] = self._classes.get(label, 0) + 1  # a Counter takes three times as long
        self._margins.add(margin)
        differs = other is not None and other != label
        if differs:
            self._disagreements += 1
        if not room:
            return None
        if self._draw() < self._random_share:
            return "random"
        if differs and self._draw() < self._disagreement_share and self.has_room("disagreement", label):
            return "disagreement"
        if margin < self._threshold and self.has_room("margin", label):
            self.update()  # the threshold may be a second old, and falls fast in a burst
            if margin < self._threshold:
                return "margin"
        return None

    @property
    def unsent(self) -> Counter[str]:
        """What was counted since the last `synced`."""
        return Counter({SEEN: self._seen, DISAGREED: self._disagreements})

    def has_room(self, source: SampleSource, label: str) -> bool:
        """Return whether a class has room in the budget of a source, as far as this gateway knows."""
        cap = self.budgets(source).of_class
        return cap is None or self._taken_of_class[source, label] < cap

    def budgets(self, source: SampleSource) -> Budgets:
        """Return the most images of a source in a day, and of one class; classes do not matter for the random slice.

        The equal share is by the effective number of classes, the exponential of the entropy of what was predicted
        (M. O. Hill, "Diversity and Evenness", Ecology 54(2), 1973): classes that hardly occur take no share.
        """
        total = self._settings.budget(source, self._has_shadow)
        if source == "random":
            return Budgets(total, None)
        return Budgets(total, max(1, math.ceil(total * min(LARGEST_SHARE, EQUAL_SHARES / self._effective_classes))))

    def taken(self, source: SampleSource, label: str) -> None:
        """Count an image that was chosen."""
        self._pending[source] += 1
        self._taken_of_class[source, label] += 1
        self.update()

    def ended(self, source: SampleSource, label: str, reason: str) -> None:
        """Note that an image which was `taken` is in the queue, or why not."""
        self._pending[source] -= 1
        if reason == "":
            self._today[source] += 1
            return
        self._taken_of_class[source, label] -= 1
        budgets = self.budgets(source)
        if reason == "budget":  # other gateways have used it up
            self._today[source] = max(self._today[source], budgets.total)
        elif reason == "class" and budgets.of_class is not None:
            self._taken_of_class[source, label] = budgets.of_class
        self.update()

    def synced(self, sent: Counter[str], counted: Counted) -> None:
        """Take over what all gateways have counted; `sent` is what this one has added to it."""
        self._follow_day()  # or the new day's counts would pass for those of yesterday
        self._seen = max(0, self._seen - sent[SEEN])
        self._disagreements = max(0, self._disagreements - sent[DISAGREED])
        self._today = Counter(counted.today)
        self._yesterday = Counter(counted.yesterday)
        self.update()

    def update(self) -> None:
        """Compute the thresholds anew; call it about once a second."""
        self._follow_day()
        entropy = 0.0
        if total := sum(self._classes.values()):
            entropy = -sum(count / total * math.log(count / total) for count in self._classes.values())
        self._effective_classes = math.exp(entropy)
        requests, disagreements = self._to_come(SEEN), self._to_come(DISAGREED)
        left_random, left_disagreement, left = self._left("random"), self._left("disagreement"), self._left("margin")
        # if all requests to come are taken, the random slice gets its share of them, not all
        self._random_share = left_random / max(requests, left_random + left_disagreement + left)
        self._disagreement_share = left_disagreement / disagreements
        self._threshold = self._margins.below(left / requests) if left > 0 else 0.0

    def _left(self, source: SampleSource) -> int:
        budget = self._settings.budget(source, self._has_shadow)
        return max(0, budget - self._today[source] - self._pending[source])

    def _to_come(self, counter: str) -> float:
        """Return how many requests, or disagreements, are expected in the rest of the day; at least 1."""
        now, start = self._clock(), self._day * DAY_S
        known = self._yesterday[SEEN] > 0
        prior_s = LATER_DAY_S if known else FIRST_DAY_S
        seen = self._today[counter] + self.unsent[counter] + self._yesterday[counter] * prior_s / DAY_S
        elapsed = now - (start if known else max(start, min(self._since, now)))
        return max(1.0, seen / (elapsed + prior_s) * (start + DAY_S - now))

    def _follow_day(self) -> None:
        if (day := int(self._clock() // DAY_S)) != self._day:
            self._day = day
            self._yesterday = self._today + self.unsent
            self._today, self._pending, self._taken_of_class = Counter(), Counter(), Counter()
            self._classes = {}
            self._seen = self._disagreements = 0
