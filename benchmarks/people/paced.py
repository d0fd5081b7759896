"""The sampler of the gateway on a stream of images, as many each day, whose best ones it cannot know in advance."""

import numpy as np

from benchmarks.people.choosing import Candidates, margins
from contract.sampling import ReviewSampling, SamplingMix
from services.gateway.serving.sampling.pacing import DAY_S, Pace
from services.trainer.data import Indices


class Paced:
    """Chooses the images of one day after another; the images of each come at equal times."""

    def __init__(self, mix: SamplingMix, rate_per_day: int, seed: int) -> None:
        self._settings = {shadow: ReviewSampling(rate_per_day=rate_per_day, mix=mix) for shadow in (False, True)}
        self._now = 0.0
        self._pace = Pace(0.0, lambda: self._now, np.random.default_rng(seed).random)
        self._day = -1

    def __call__(self, candidates: Candidates, count: int) -> Indices:
        """Return the images that the gateway would sample in the next day, at most `count`."""
        self._day += 1
        has_shadow = candidates.shadow is not None
        self._pace.use(self._settings[has_shadow], has_shadow)
        labels = candidates.logits.argmax(axis=1).tolist()
        others = labels if candidates.shadow is None else candidates.shadow.argmax(axis=1).tolist()
        chosen = []
        for row, margin in enumerate(margins(candidates.logits).tolist()):
            self._now = DAY_S * (self._day + (row + 0.5) / len(candidates))
            self._pace.update()
            label, other = str(labels[row]), str(others[row])
            source = self._pace.choose(label, margin, other if has_shadow else None)
            if source is not None:
                self._pace.taken(source, label)
                self._pace.ended(source, label, "")
                chosen.append(row)
        return np.array(chosen[:count], np.int64)
