"""The only place that says which epoch's weights become the model."""

from contract.training import Epoch


def best_of(epochs: tuple[Epoch, ...]) -> Epoch:
    """The epoch with the highest validation accuracy, then the lowest loss, then the first; unvalidated, the last."""

    def rank(epoch: Epoch) -> tuple[float, float]:
        return (epoch.val_accuracy or 0.0, -(epoch.val_loss or 0.0))

    return epochs[-1] if epochs[-1].val_loss is None else max(epochs, key=rank)
