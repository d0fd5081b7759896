"""Each alert fires when it should, names metrics that exist, and has a runbook."""

import json
import re
from pathlib import Path

import pytest
import yaml

from tests.support.deployment import ROOT
from tests.support.promql import RULES, Known
from tests.support.promtool import promtool
from tests.unit.docs.test_generated import generate

CASES = sorted((Path(__file__).parent / "alerts").glob("*.yml"))
RUNBOOKS = (ROOT / "docs" / "runbooks.md").read_text()
DASHBOARDS = ROOT / "deploy" / "observability" / "grafana" / "dashboards"
KNOWN = Known.of((row.name, row.kind, set(row.labels)) for row in generate.metrics())
ALL = [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]
ALERTS = [rule for rule in ALL if "alert" in rule]
NAMES = {rule["alert"] for rule in ALERTS}


@pytest.mark.parametrize("cases", CASES, ids=lambda path: path.stem)
def test_the_alerts_fire_when_they_should(cases: Path) -> None:
    assert promtool("test", "rules", cases).split()[-1] == "SUCCESS"


def test_every_alert_is_seen_to_fire() -> None:
    expected = {name for cases in CASES for name in re.findall(r'alertname="(\w+)"', cases.read_text())}

    assert expected == NAMES


def test_every_metric_and_label_of_a_rule_exists() -> None:
    assert {rule["expr"]: found for rule in ALL if (found := KNOWN.faults(rule["expr"]))} == {}


def test_every_alert_says_what_it_is_and_who_must_act() -> None:
    for rule in ALERTS:
        assert rule["labels"]["severity"] in {"page", "ticket"}
        assert rule["annotations"].keys() == {"summary", "description", "runbook_url"}


def test_every_alert_leads_to_its_runbook_and_no_runbook_is_left_over() -> None:
    sections = re.findall(r"^## (\w+)$", RUNBOOKS, re.MULTILINE)

    assert sorted(sections) == sorted(NAMES)
    for rule in ALERTS:
        assert rule["annotations"]["runbook_url"] == f"docs/runbooks.md#{rule['alert'].lower()}"


def test_every_runbook_says_what_it_means_where_to_look_and_what_to_do() -> None:
    for section in re.split(r"^## ", RUNBOOKS, flags=re.MULTILINE)[1:]:
        parts = re.findall(r"^\*\*(.+?)\*\*", section, re.MULTILINE)
        assert parts == ["Meaning.", "Look first.", "Do."], section.splitlines()[0]


def test_the_commands_and_settings_of_the_runbooks_exist() -> None:
    reference = (ROOT / "docs" / "cli.md").read_text()
    commands = set(re.findall(r"^### `tidepool ([a-z-]+(?: [a-z-]+)?)", reference, re.MULTILINE))
    named = set(re.findall(r"`tidepool\s+([a-z-]+(?:\s+(?:ls|show|retry|lift-quarantine))?)", RUNBOOKS))
    documented = (ROOT / "docs" / "settings.md").read_text() + (ROOT / "docs" / "compose.md").read_text()

    assert {" ".join(name.split()) for name in named} - commands == set()
    assert {name for name in re.findall(r"TIDEPOOL_[A-Z0-9_]+", RUNBOOKS) if name not in documented} == set()


def test_the_panels_that_the_runbooks_name_exist() -> None:
    titles = {panel["title"] for path in DASHBOARDS.iterdir() for panel in json.loads(path.read_text())["panels"]}
    names = {" ".join(name.split()) for name in re.findall(r"(?<!\*)\*([A-Z][^*]+)\*(?!\*)", RUNBOOKS)}

    assert names - titles - {"Status → Targets", "Usage"} == set()
