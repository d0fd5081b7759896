"""One example of every public value of the contract: an invented run over images of cats and dogs."""

from contract.base import Frozen
from tests.examples import (
    backbones,
    base,
    datasets,
    drift,
    evaluation,
    jobs,
    models,
    operations,
    pipelines,
    reviews,
    searches,
)
from tests.examples.backbones import *  # noqa: F403
from tests.examples.base import *  # noqa: F403
from tests.examples.datasets import *  # noqa: F403
from tests.examples.drift import *  # noqa: F403
from tests.examples.evaluation import *  # noqa: F403
from tests.examples.jobs import *  # noqa: F403
from tests.examples.models import *  # noqa: F403
from tests.examples.operations import *  # noqa: F403
from tests.examples.pipelines import *  # noqa: F403
from tests.examples.reviews import *  # noqa: F403
from tests.examples.searches import *  # noqa: F403

EXAMPLES: tuple[Frozen, ...] = (
    *base.EXAMPLES,
    *datasets.EXAMPLES,
    *models.EXAMPLES,
    *backbones.EXAMPLES,
    *evaluation.EXAMPLES,
    *drift.EXAMPLES,
    *jobs.EXAMPLES,
    *searches.EXAMPLES,
    *operations.EXAMPLES,
    *reviews.EXAMPLES,
    *pipelines.EXAMPLES,
)
