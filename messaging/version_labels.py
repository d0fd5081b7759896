"""The label values of metrics by model version, of which a process has a bounded number."""

MOST = 1000  # versions; each has about 100 time series
OTHER = "_other"  # cannot be the name of a model


class VersionLabels:
    """Gives the first MOST model versions labels of their own; those that come later share the model OTHER.

    Series are never removed, because a counter that starts again at zero would be shown as less than it was.
    """

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._known: set[tuple[str, str]] = set()

    def of(self, model: str, version: int) -> tuple[str, str]:
        """Return the values of the labels `model` and `version`."""
        labels = (model, str(version))
        if labels not in self._known:
            if len(self._known) >= self._most:
                return OTHER, ""
            self._known.add(labels)
        return labels


version_labels = VersionLabels()
