"""A replica in a seat of a training that another one leads: it computes, and reports nothing."""

import time

import structlog
from torch.distributed import TCPStore  # type: ignore[attr-defined]

from contract.errors import LeaseLost, Overtaken
from contract.references import Reference
from services.trainer.cores import share_cores
from services.trainer.elastic.addresses import own_address
from services.trainer.elastic.agent import NO_ROUND, Agent, Gate, connect, end, preload, rendezvous
from services.trainer.elastic.images import digest, fetch_images, open_images
from services.trainer.elastic.lead import TERMS
from services.trainer.elastic.plan import Terms
from services.trainer.elastic.rank import Place
from services.trainer.settings import ElasticSettings
from worker.seats import SeatTask

POLL_S = 0.2

log = structlog.get_logger()


def take_part(task: SeatTask) -> None:
    """Take part in rounds of the training until it ends; raises what keeps this replica from it.

    Raises LeaseLost if the leader is lost, Overtaken if this replica would have other images, JobFailed if it has no
    address for the others, and what `check_stop` raises.
    """
    preload()
    host, _, port = task.endpoint.rpartition(":")
    try:
        store = connect(host, int(port))
        terms = Terms.model_validate_json(store.get(TERMS))
        _, dataset = task.datasets.manifest(Reference.parse(terms.dataset))
        if digest(dataset) != terms.data:
            raise Overtaken("an image was erased since the training began, so this replica has other data")
        own = own_address(ElasticSettings().network)
        fetch_images(task, dataset)
        open_images(task.folder, terms)  # shrinks the images, if need be
        task.ready()
        with share_cores():
            _rounds(task, store, Place(host, int(port), own, task.folder), terms)
    except RuntimeError as error:  # of the store
        raise LeaseLost("the leader of the training is not reached") from error


def _rounds(task: SeatTask, store: TCPStore, place: Place, terms: Terms) -> None:
    """Join a round whenever the leader lets seats join, until the training ends."""

    def check() -> bool:
        task.check_stop()
        return True

    run_id, handler = "", None
    try:
        while True:
            task.check_stop()
            gate = Gate.read(store)
            if not gate.open:
                time.sleep(POLL_S)
                continue
            if handler is None or gate.run_id != run_id:
                if handler is not None:
                    end(handler)
                run_id = gate.run_id
                handler = rendezvous(store, run_id, terms.replicas, place.own.address, leads=False)
            try:
                result = Agent(place, handler, check).run()
            except NO_ROUND as error:
                log.info("the rendezvous failed", run_id=run_id, exc_info=error)
                end(handler)
                handler = None
            else:
                if result is not None and not result.is_failed():
                    return
    finally:
        if handler is not None:
            end(handler)
