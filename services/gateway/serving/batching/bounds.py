"""How much the batcher takes in, and in which portions it sends it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Bounds:
    """`waiting` requests of a model version at most, in batches of at most `batch`, `flights` a replica at a time."""

    waiting: int = 512
    batch: int = 32
    flights: int = 2
