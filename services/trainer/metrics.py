"""Prometheus metrics of the trainer."""

from prometheus_client import Counter, Gauge, Histogram

from contract.training import Epoch

IMAGES = Counter(
    "tidepool_training_images_total",
    "Images that trainings computed: `descent` by forward and backward passes, `features` by a frozen backbone.",
    ["method"],
)
EPOCH_SECONDS = Histogram(
    "tidepool_training_epoch_seconds",
    "Time of an epoch with its validation.",
    buckets=(0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600),
)
LOSS = Gauge("tidepool_training_loss_nats", "Mean loss of the running training's last epoch, by split.", ["split"])
ACCURACY = Gauge(
    "tidepool_training_accuracy_ratio", "Accuracy of the running training's last epoch, from 0 to 1.", ["split"]
)
DESCENT, FEATURES = (IMAGES.labels(method) for method in ("descent", "features"))


def show_epoch(epoch: Epoch) -> None:
    EPOCH_SECONDS.observe(epoch.seconds)
    LOSS.labels("train").set(epoch.train_loss)
    if epoch.val_loss is not None:
        LOSS.labels("val").set(epoch.val_loss)
    if epoch.val_accuracy is not None:
        ACCURACY.labels("val").set(epoch.val_accuracy)
