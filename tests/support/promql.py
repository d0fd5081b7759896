"""What a query of Prometheus names: metrics and labels."""

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import yaml

from tests.support.deployment import ROOT

RULES = ROOT / "deploy" / "observability" / "rules" / "tidepool.yml"
COMMON = {"job", "instance", "role"}  # of every scraped series
HISTOGRAM = {"_bucket": {"le"}, "_sum": set[str](), "_count": set[str]()}
OTHERS = {  # that Tidepool's code does not declare
    "up": set[str](),
    "process_cpu_seconds_total": set[str](),
    "process_resident_memory_bytes": set[str](),
    "process_start_time_seconds": set[str](),
    "ALERTS": {"alertname", "alertstate", "severity"},
}
NAME = re.compile(r"\b(tidepool[\w:]+|process_\w+|up|ALERTS)\b(?:\{([^}]*)\})?")
GROUPED = re.compile(r"\bby \(([^)]*)\)")
REPLACED = re.compile(r'label_replace\(.*?, "(\w+)",')
TEXT = re.compile(r'"[^"]*"')


class Known(NamedTuple):
    """The metrics that exist, by the names of their series, with their labels."""

    labels: Mapping[str, set[str]]

    @classmethod
    def of(cls, declared: Iterator[tuple[str, str, set[str]]]) -> "Known":
        """`declared` are the names, types and labels of the metrics of the code."""
        labels = dict(OTHERS)
        for name, kind, own in declared:
            series = {f"{name}{end}": own | more for end, more in HISTOGRAM.items()}
            labels |= series if kind == "histogram" else {name: own}
        rules = yaml.safe_load(RULES.read_text())["groups"]
        return cls(labels | {rule["record"]: set() for group in rules for rule in group["rules"] if "record" in rule})

    def faults(self, query: str) -> list[str]:
        """Return what a query names and does not exist."""
        faults, possible = [], set(COMMON) | set(REPLACED.findall(query))
        for name, selector in NAME.findall(query):
            if name not in self.labels:
                faults.append(f"no metric {name}")
                continue
            labels = self.labels[name] | COMMON
            possible |= labels
            matched = set(re.findall(r"(\w+)\s*[=!]~?", TEXT.sub('""', selector)))
            faults += [f"{name} has no label {label}" for label in matched - labels]
        grouped = {label for labels in GROUPED.findall(query) for label in labels.split(", ")}
        return faults + [f"no label {label}" for label in grouped - possible]
