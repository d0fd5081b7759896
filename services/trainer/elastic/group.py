"""The processes that train together: what they exchange, over gloo, or NCCL if each has a GPU of its own."""

from collections.abc import Callable, Sequence
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.distributed_c10d import _set_pg_timeout

from services.trainer.elastic.shards import Sharing, Subtree, total

FIRST_STEP_S = 60.0  # limit of the first step, whose time nobody knows
STEPS = 10  # how many times the slowest step so far a process may wait for another
BEAT_S = 0.5  # how often the processes that wait for the first one hear that it is alive


class Group:
    """The processes of one round; the first one, of rank 0, is the leader's.

    A process that is lost makes the next exchange fail, at the latest after `timeout_s` or ten times the slowest step.
    """

    def __init__(self, rank: int, size: int, timeout_s: float = FIRST_STEP_S) -> None:
        self.rank = rank
        self.size = size
        self.timeout_s = timeout_s
        self._slowest_s = 0.0
        self._kept: tuple[Tensor, Tensor, Tensor] | None = None
        self._limit_s = FIRST_STEP_S
        self._on_gpu = size > 1 and "nccl" in str(dist.get_backend_config())

    @property
    def leads(self) -> bool:
        return self.rank == 0

    def total(self, sharing: Sharing, sums: dict[Subtree, Tensor], like: Tensor) -> Tensor:
        """Return the sum of the subtrees of all processes, added in the order of the tree; valid until the next call.

        Every process adds a part of the vectors, so that each sends and receives little; `like` is one of their length.
        """
        tree = (0, sharing.shards)
        if self.size == 1:
            return sums[tree]
        sent, received, whole = self._buffers(sharing.slots, like)
        length = whole.shape[1]
        for slot, vector in enumerate(sums.values()):
            for process, part in enumerate(torch.split(vector, length)):
                sent[process, slot, : len(part)].copy_(part)
        dist.all_to_all_single(received, sent)
        parts = {
            subtree: slot
            for process, slots in enumerate(received)
            for subtree, slot in zip(sharing.subtrees(process), slots, strict=False)
        }
        whole[self.rank] = total(tree, parts)
        # Broadcasts, because gloo's all-gather takes four times as long.
        works = [dist.broadcast(part, process, async_op=True) for process, part in enumerate(whole)]
        for work in works:
            work.wait()
        return whole.view(-1)[: len(like)].to(like.device)

    def _buffers(self, slots: int, like: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return what is sent, received and added; they are kept, because fresh memory of their size is slow."""
        shape = (self.size, slots, -(-len(like) // self.size))
        if self._kept is None or self._kept[0].shape != shape or self._kept[0].dtype != like.dtype:
            device = like.device if self._on_gpu else torch.device("cpu")
            sent = torch.zeros(shape, device=device, dtype=like.dtype)
            self._kept = (sent, torch.zeros_like(sent), torch.zeros_like(sent[:, 0]))
        return self._kept

    def merge(self, values: Tensor) -> Tensor:
        """Return the values of all processes; each has zeros where the value is another's, so the sum is exact."""
        if self.size > 1:
            device = values.device
            values = values if self._on_gpu else values.cpu()
            dist.all_reduce(values)
            values = values.to(device)
        return values

    def agree(self, values: Sequence[float]) -> list[float]:
        """Return the first process's values."""
        if self.size == 1:
            return list(values)
        shared = torch.tensor(values, dtype=torch.float64)
        dist.broadcast(shared, 0)
        return shared.tolist()

    def share(self, stored: bytes | None) -> bytes:
        """Return the first process's bytes; the others pass None."""
        if self.size == 1:
            return stored or b""
        (length,) = self.agree([len(stored or b"")])
        data = torch.frombuffer(bytearray(stored), dtype=torch.uint8) if stored else None
        data = torch.empty(int(length), dtype=torch.uint8) if data is None else data
        dist.broadcast(data, 0)
        return data.numpy().tobytes()

    def wait_for_first(self, over: Callable[[], bool]) -> None:
        """Wait until `over()`, which only the first process calls; each call takes BEAT_S at most."""
        while not self.agree([over() if self.leads else False])[0]:
            pass

    def measured(self, seconds: float) -> None:
        """Adapt the time that an exchange may take to that of a step."""
        self._slowest_s = max(self._slowest_s, seconds)
        limit = max(self.timeout_s, STEPS * self._slowest_s)
        if self.size > 1 and limit != self._limit_s:
            self._limit_s = limit
            _set_pg_timeout(timedelta(seconds=limit))
