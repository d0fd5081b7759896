"""The passes over the data of a training that several processes share."""

import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from contract.tracing import traced
from contract.training import Epoch
from services.trainer.data import Indices, ShardedImages, TrainingData
from services.trainer.elastic.group import Group
from services.trainer.elastic.images import epoch_order
from services.trainer.elastic.plan import Terms
from services.trainer.elastic.shards import Sharing, Subtree, total
from services.trainer.learner import Learner
from services.trainer.schedule import Clock
from services.trainer.train import OnBatch, class_weights, require_converging


class SharedPasses:
    """Computes this process's virtual shards; every process ends each step with the same weights."""

    def __init__(self, group: Group, terms: Terms) -> None:
        self._group = group
        self._terms = terms

    def over(self, clock: Clock, epochs: tuple[Epoch, ...]) -> bool:
        """Return whether the training ends with these epochs; the first process decides."""
        return bool(self._group.agree([clock.over(epochs)])[0])

    @traced("epoch")
    def train(
        self, learner: Learner, data: TrainingData, number: int, clock: Clock, on_batch: OnBatch
    ) -> tuple[Tensor, int]:
        """As `train_epoch`; the statistics of batch normalization are those of each shard."""
        recipe, group = learner.recipe, self._group
        steps = epoch_order(data, self._terms, number)
        order = [np.concatenate(shards) for shards in steps]
        weights = class_weights(data.train.labels, data.classes) if recipe.class_weights == "balanced" else None
        step = Step(learner, data, self._group, None if weights is None else weights.to(learner.device.torch_device))
        seen, losses = 0, list[Tensor]()
        learner.train_mode()
        for index, shards in enumerate(steps):
            progress, stops = group.agree([clock.progress(number, index / len(order)), clock.stops()])
            if stops and index:
                break
            started = time.monotonic()
            learner.advance(progress)
            losses.append(step.take((recipe.seed, number, index), shards))
            group.measured(time.monotonic() - started)
            seen += len(order[index])
            on_batch(clock.progress(number, (index + 1) / len(order)))
        require_converging(learner.recipe, data, number, losses, order)
        computed = group.merge(torch.cat(step.image_losses) if step.image_losses else torch.zeros(0))
        learner.image_losses.add(number, np.concatenate(order[: len(losses)]), [computed])
        sizes = torch.tensor([len(batch) for batch in order[: len(losses)]], device=losses[0].device)
        return (torch.stack(losses) * sizes).sum(), seen

    @traced("validate")
    @torch.no_grad()
    def validate(
        self, learner: Learner, images: ShardedImages, batch_size: int, on_batch: Callable[[], None]
    ) -> tuple[float, float] | tuple[None, None]:
        """As `validate`; the processes take the batches in turn, and their sums are added in order."""
        if not len(images):
            return None, None
        learner.model.eval()
        order = np.array_split(np.arange(len(images)), -(-len(images) // batch_size))
        sums = torch.zeros((len(order), 2), dtype=torch.float64, device=learner.device.torch_device)
        for first in range(0, len(order), self._group.size):
            number = first + self._group.rank
            if number < len(order):
                pixels, labels = learner.move(*images.take(order[number]))
                logits = learner.model(learner.inputs(pixels))
                sums[number, 0] = cross_entropy(logits, labels, reduction="sum")
                sums[number, 1] = (logits.argmax(1) == labels).sum()
            self._group.agree([0.0])  # no process gets far ahead, so a lost one is noticed here, too
            on_batch()
        loss, accuracy = (self._group.merge(sums).cumsum(0)[-1] / len(images)).tolist()
        return loss, accuracy


class Step:
    """One step after the other, in an epoch."""

    def __init__(self, learner: Learner, data: TrainingData, group: Group, class_weight: Tensor | None) -> None:
        self._learner = learner
        self._data = data
        self._group = group
        self._class_weight = class_weight
        self._weights = [weight for weight in learner.model.parameters() if weight.requires_grad]
        self._buffers = list(learner.model.buffers()) if learner.recipe.batch_statistics else []
        self.image_losses: list[Tensor] = []  # of each batch; zero for images of other processes

    def take(self, seed: tuple[int, int, int], shards: list[Indices]) -> Tensor:
        """Train on a batch that is cut into shards, and return its mean loss; every process takes the step."""
        learner, group = self._learner, self._group
        sharing = Sharing(len(shards), group.size)
        buffers = [buffer.clone() for buffer in self._buffers]
        images = sum(map(len, shards))
        losses = [torch.zeros(len(shard), device=learner.device.torch_device) for shard in shards]

        def leaf(number: int) -> Tensor:
            for buffer, before in zip(self._buffers, buffers, strict=True):
                buffer.copy_(before)
            vector, losses[number] = self._shard(seed, number, shards[number], images)
            return vector

        sums: dict[Subtree, Tensor] = {tree: total(tree, {}, leaf) for tree in sharing.subtrees(group.rank)}
        like = next(iter(sums.values())) if sums else self._vector(torch.zeros((), device=losses[0].device))
        whole = group.total(sharing, sums, like)
        self._set(whole, len(shards))
        learner.scaler.step(learner.optimizer)
        learner.scaler.update()
        self.image_losses.append(torch.cat(losses))
        return whole[-1].clone()

    def _shard(self, seed: tuple[int, int, int], number: int, shard: Indices, images: int) -> tuple[Tensor, Tensor]:
        """Compute a shard; return the vector of its gradients, buffers and share of the loss, and its images' losses.

        Every shard seeds torch's generator, so that its augmentation does not depend on which process computes it.
        """
        learner, recipe = self._learner, self._learner.recipe
        drawn = np.random.SeedSequence((*seed, number)).generate_state(1, np.uint64)
        torch.manual_seed(int(drawn[0] >> np.uint64(1)))
        pixels, labels = learner.move(*self._data.train.take(shard))
        inputs, targets = learner.batch(pixels, labels, self._data.classes)
        with learner.device.autocast():
            logits = learner.model(inputs)
        hard = cross_entropy(logits.detach().float(), labels, reduction="none")
        loss = cross_entropy(logits.float(), targets, weight=self._class_weight, label_smoothing=recipe.label_smoothing)
        loss = loss * (len(shard) / images)
        learner.optimizer.zero_grad()
        learner.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        return self._vector(loss.detach()), hard

    def _vector(self, loss: Tensor) -> Tensor:
        gradients = [torch.zeros_like(w) if w.grad is None else w.grad for w in self._weights]
        return torch.cat([tensor.reshape(-1).float() for tensor in (*gradients, *self._buffers, loss)])

    def _set(self, whole: Tensor, shards: int) -> None:
        """Set the gradients to the sums over the shards, and the buffers to their means."""
        sizes = [tensor.numel() for tensor in (*self._weights, *self._buffers)]
        pieces = torch.split(whole[:-1], sizes)
        for weight, piece in zip(self._weights, pieces, strict=False):
            if weight.grad is None:
                weight.grad = torch.empty_like(weight)
            weight.grad.copy_(piece.view(weight.shape))
        for buffer, piece in zip(self._buffers, pieces[len(self._weights) :], strict=True):
            mean = piece.view(buffer.shape) / shards
            buffer.copy_(mean if buffer.is_floating_point() else mean.round())
