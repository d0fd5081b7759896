"""The only place where inference meets its stores: calls come in, replies go out."""

from contract.predictions import PredictCall
from runtime.calls import Answer
from runtime.codec import decode, encode
from runtime.stores import Stores
from services.inference.announce import ProviderAnnouncer
from services.inference.cache import ModelCache
from services.inference.engine import Engine
from services.inference.predict import Predictor
from services.inference.settings import InferenceSettings


def setup(stores: Stores) -> Answer:
    """What answers an encoded PredictCall with an encoded PredictReply; it raises errors of contract.errors."""
    settings = InferenceSettings()
    engine = Engine(max_batch=settings.max_batch, threads=settings.threads)
    models = ModelCache(engine, fetch=stores.objects.read, capacity=settings.cache_bytes)
    predictor = Predictor(models, settings.decode_threads)

    announcer = ProviderAnnouncer(stores.models)

    def answer(body: bytes) -> bytes:
        call = decode(PredictCall, body)
        reply = predictor.predict(call)
        announcer.announce(call, reply)
        return encode(reply)

    return answer
