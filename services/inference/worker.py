"""The only place where inference meets its stores: questions come in, answers go out."""

from contract.access import DEFAULT_PROJECT
from contract.inference import Question, Target
from messaging.responder import BatchAnswers, BatchHandler
from services.inference.announce import ProviderAnnouncer
from services.inference.cache import ModelCache
from services.inference.engine import Engine
from services.inference.onnx_runtime import ort
from services.inference.predict import Predictor
from services.inference.providers import on_gpu
from services.inference.settings import InferenceSettings
from services.storage.stores import Stores


def device() -> int | None:
    """The GPU on which models run where ONNX Runtime and the settings are as they are here; None is the CPU."""
    placement = InferenceSettings().placement
    first = placement.providers(ort.get_available_providers())[0]
    return placement.device if on_gpu(first if isinstance(first, str) else first[0]) else None


def setup(stores: Stores) -> BatchHandler:
    """What answers the questions of a batch; it raises errors of contract.errors."""
    settings = InferenceSettings()
    engine = Engine.of(settings)
    models = ModelCache(engine, fetch=stores.objects.read, capacity=settings.cache_bytes)
    predictor = Predictor(models, settings.decode_threads)
    announcer = ProviderAnnouncer(stores.of(DEFAULT_PROJECT).models)

    def respond(target: Target, questions: tuple[Question, ...]) -> BatchAnswers:
        answered = predictor.respond(target, questions)
        announcer.announce(target, answered.provider)
        return answered

    return BatchHandler(respond, settings.batches_at_once or engine.batches_at_once)
