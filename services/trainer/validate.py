"""The only place that measures a network while it is being trained."""

from collections.abc import Callable

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from services.trainer.data import Pictures
from services.trainer.learner import Learner


@torch.no_grad()
def validate(
    learner: Learner, pictures: Pictures, batch_size: int, on_batch: Callable[[], None]
) -> tuple[float, float] | tuple[None, None]:
    """Mean cross-entropy in nats and accuracy (0..1) in float32, as it will be served; of no pictures, nothing."""
    if not len(pictures):
        return None, None
    learner.model.eval()
    sums = torch.zeros(2, dtype=torch.float64, device=learner.device.where)
    for batch in np.array_split(np.arange(len(pictures)), -(-len(pictures) // batch_size)):
        images, labels = learner.move(*pictures.take(batch))
        logits = learner.model(learner.inputs(images))
        sums[0] += cross_entropy(logits, labels, reduction="sum")
        sums[1] += (logits.argmax(1) == labels).sum()
        on_batch()
    loss, accuracy = (sums / len(pictures)).tolist()  # a CPU-GPU sync point
    return loss, accuracy
