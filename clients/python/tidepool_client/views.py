"""What the client returns, with a view for notebooks: `_repr_html_`."""

from typing import Any

from contract import catalog, evaluation, jobs
from contract.jobs import JobState
from contract.kinds import preprocess, train
from tidepool_client.html import bar, facts, matrix, percent, reasons, table


class Metrics(evaluation.Metrics):
    def _repr_html_(self) -> str:
        low, high = self.accuracy_interval or (None, None)
        accuracy = percent(self.accuracy) + (f" ({percent(low)} to {percent(high)})" if low is not None else "")
        rows = facts({"accuracy": accuracy, "macro F1": percent(self.macro_f1), "loss": f"{self.loss:.3f}"})
        labels = list(self.per_class)
        classes = [
            (label, percent(one.precision), percent(one.recall), percent(one.f1), one.support)
            for label, one in self.per_class.items()
        ]
        by_class = table(("class", "precision", "recall", "F1", "images"), classes)
        return rows + by_class + matrix(labels, self.confusion_matrix)


class EvaluationMetrics(evaluation.EvaluationMetrics):
    val: Metrics | None
    test: Metrics | None

    def _repr_html_(self) -> str:
        splits = {"validation": self.val, "test": self.test}
        return "".join(f"<h4>{name}</h4>{judged._repr_html_()}" for name, judged in splits.items() if judged)


class EvaluationReport(evaluation.EvaluationReport):
    metrics: Metrics

    def _repr_html_(self) -> str:
        return reasons("", (*self.summary, *self.warnings)) + self.metrics._repr_html_()


class PreprocessResult(preprocess.PreprocessResult):
    def _repr_html_(self) -> str:
        counts = self.counts
        rows = facts({"dataset": self.dataset, "classes": ", ".join(self.classes), "rejected files": self.rejected})
        splits = table(("train", "val", "test"), [(counts.train, counts.val, counts.test)])
        return rows + splits + reasons("Warnings", [warning.message for warning in self.warnings])


class TrainResult(train.TrainResult):
    metrics: EvaluationMetrics

    def _repr_html_(self) -> str:
        choices = [f"{choice.what} = {choice.value}, because {choice.because}" for choice in self.decisions]
        shown = facts({"model": self.model}) + self.metrics._repr_html_() + reasons("Decisions", choices)
        if self.folds is not None:
            spread = self.folds.accuracy
            shown += facts({f"accuracy in {self.folds.folds} folds": f"{spread.mean:.1%} ± {spread.deviation:.1%}"})
        return shown + (self._trials() if self.study is not None else "")

    def _trials(self) -> str:
        if self.study is None:
            return ""
        names = list(self.study.trials[0].parameters)
        rows = [
            (trial.number, trial.state, *(trial.parameters.get(name) for name in names), trial.value, trial.epochs)
            for trial in self.study.trials
        ]
        averaged = facts({"averages the answers of": self.study.members_text}) if self.study.members else ""
        return averaged + table(("trial", "state", *names, self.study.objective, "epochs"), rows)


class Dataset(catalog.Dataset):
    def _repr_html_(self) -> str:
        versions = ", ".join(f"{self.name}@{version}" for version in self.versions)
        return facts({"dataset": self.name, "versions": versions, "since": f"{self.created_at:%Y-%m-%d %H:%M}"})


class DatasetVersion(catalog.DatasetVersion):
    @property
    def reference(self) -> str:
        """Such as `pets@3`."""
        return f"{self.name}@{self.version}"

    def _repr_html_(self) -> str:
        channels, height, width = self.shape
        rows = facts({"dataset": self.reference, "images": f"{width} × {height}, {channels} channels"})
        splits = list(self.counts_by_class)
        counts = [(label, *(self.counts_by_class[split].get(label, 0) for split in splits)) for label in self.classes]
        warnings = [f"{warning.message}. {warning.advice}" for warning in self.warnings]
        return rows + table(("class", *splits), counts) + reasons("Warnings", warnings)


class Model(catalog.Model):
    def _repr_html_(self) -> str:
        names: dict[int, list[str]] = {}
        for alias in self.aliases:
            for version, share in alias.versions.items():
                names.setdefault(version, []).append(alias.alias if share == 100 else f"{alias.alias} {share} %")
        rows = [
            (f"{self.name}@{version}", ", ".join(names.get(version, ())), "rejected" * (version in self.rejected))
            for version in self.versions
        ]
        return table(("version", "aliases", "status"), rows)


class ModelVersion(catalog.ModelVersion):
    metrics: EvaluationMetrics | None = None

    @property
    def reference(self) -> str:
        """Such as `pets@3`."""
        return f"{self.name}@{self.version}"

    def _repr_html_(self) -> str:
        about = {
            "model": self.reference,
            "status": self.status + (f": {self.reason}" if self.reason else ""),
            "dataset": self.dataset,
            "aliases": ", ".join(self.aliases) or None,
            "labels": ", ".join(self.labels) or None,
            "serves": self.serving,
            "parameters": f"{self.parameters:,}" if self.parameters is not None else None,
        }
        return facts(about) + (self.metrics._repr_html_() if self.metrics else "")


class JobView(jobs.Job):
    """A job, with its result as an object."""

    @property
    def parsed_result(self) -> PreprocessResult | TrainResult | EvaluationReport | dict[str, Any] | None:
        """The result of a preprocessing, a training or an evaluation; of other kinds, `result` itself."""
        kinds: dict[str, type[PreprocessResult | TrainResult | EvaluationReport]] = {
            "preprocess": PreprocessResult,
            "train": TrainResult,
            "evaluate": EvaluationReport,
        }
        kind = kinds.get(self.kind)
        return self.result if kind is None or self.result is None else kind.model_validate(self.result, extra="ignore")

    def _repr_html_(self) -> str:
        error = self.error.message if self.error else None
        about = {"job": f"{self.kind} {self.id}", "state": self.state, "message": self.progress.message, "error": error}
        shown = facts(about)
        if self.state is JobState.RUNNING:
            shown += bar(self.progress.fraction)
        result = self.parsed_result
        return shown + (result._repr_html_() if not isinstance(result, dict | None) else "")
