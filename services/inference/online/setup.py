"""Set up the online side of an inference replica from the environment and the stores."""

from collections.abc import Callable

import structlog

from contract.errors import DatabaseUnavailable
from contract.inference import Question, Target
from messaging.answering import BatchAnswers, BatchHandler
from messaging.scrape import SCRAPE
from services.inference.engine.loader import ModelLoader
from services.inference.engine.onnx_runtime import ort
from services.inference.engine.providers import on_gpu
from services.inference.engine.watchdog import watchdog
from services.inference.online.cache import ModelCache
from services.inference.online.counting import DriftCounting
from services.inference.online.predictor import OnlinePredictor
from services.inference.online.quarantine import Quarantine
from services.inference.settings import InferenceSettings
from services.storage.catalog.models import Models
from services.storage.stores import Stores

log = structlog.get_logger()


class ProviderAnnouncer:
    """Records in the catalog which execution provider runs a version, once per version and process.

    While the database does not answer, it tries again with the next batch.
    """

    def __init__(self, models_of: Callable[[str], Models]) -> None:
        """`models_of` returns the models of a project."""
        self._models_of = models_of
        self._announced: set[tuple[str, str, int]] = set()

    def announce(self, target: Target, provider: str) -> None:
        version = (target.project, target.model, target.version)
        if version in self._announced:
            return
        try:
            self._models_of(target.project).note_provider(target.model, target.version, provider)
        except DatabaseUnavailable:
            log.warning("cannot record the provider: no database", model=target.model, version=target.version)
        else:
            self._announced.add(version)


def device() -> int | None:
    """Return the GPU that models run on, given the settings and the build of ONNX Runtime; None for the CPU."""
    placement = InferenceSettings().placement
    first = placement.providers(ort.get_available_providers())[0]
    return placement.device if on_gpu(first if isinstance(first, str) else first[0]) else None


def setup(stores: Stores) -> BatchHandler:
    """Return the handler of online batches; it raises errors of contract.errors."""
    settings = InferenceSettings()
    loader = ModelLoader.of(settings)
    models = ModelCache(loader, fetch=stores.objects.read, capacity=settings.cache_bytes)
    SCRAPE.before(models.count_hits)
    drift = DriftCounting(
        lambda version, day, counts: stores.of(version.project).drift.add(version.model, version.number, day, counts),
        lambda: stores.database.now().date(),
    )
    drift.start()
    predictor = OnlinePredictor(models, settings.decode_threads, drift)
    announcer = ProviderAnnouncer(lambda project: stores.of(project).models)
    quarantine = Quarantine(lambda project: stores.of(project).models, settings.run_s)
    watchdog(settings.run_s).on_stuck = quarantine.end_process

    def respond(target: Target, questions: tuple[Question, ...]) -> BatchAnswers:
        answers = predictor.respond(target, questions)
        announcer.announce(target, answers.provider)
        return answers

    at_once = settings.batches_at_once or loader.batches_at_once
    return BatchHandler(quarantine.guard(respond), at_once, drift.write)
