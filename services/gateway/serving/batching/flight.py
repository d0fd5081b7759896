"""A batch under way, and the requests that it carries."""

from contract.inference import Batch
from services.gateway.serving.batching.request import Request


class Flight:
    """Sent, and not yet answered; `again` once it was sent twice, `over` once nobody waits for its reply."""

    __slots__ = ("again", "batch", "over", "requests")

    def __init__(self, batch: Batch, requests: list[Request]) -> None:
        self.batch = batch
        self.requests = requests
        self.again = False
        self.over = False
