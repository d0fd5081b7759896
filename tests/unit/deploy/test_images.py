"""The images hold what their service needs, and no more."""

import re
import subprocess
import sys

import pytest

from tests.support.deployment import ROOT, compose

DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text()
STAGES = dict(re.findall(r"^FROM \S+ AS ([\w-]+)\n(.*?)(?=^FROM |\Z)", DOCKERFILE, re.MULTILINE | re.DOTALL))
HEAVY = {"torch", "onnxruntime", "onnx", "pyarrow", "numpy"}
# What each service may have of them.
ALLOWED = {
    "storage": set(),
    "gateway": {"numpy", "pyarrow"},  # indexes and thumbnails of images
    "preprocess": {"numpy", "pyarrow"},
    "inference": HEAVY - {"torch"},
    "trainer": HEAVY,
}


@pytest.mark.parametrize("service", ALLOWED)
def test_the_lock_of_a_service_is_what_its_image_installs(service: str) -> None:
    lock = f"services/{service}/requirements.lock"
    locked = set(re.findall(r"^([\w-]+)==", (ROOT / lock).read_text(), re.MULTILINE))

    assert f"COPY {lock} /\n" in STAGES[f"{service}-packages"]
    assert f"COPY --from={service}-packages " in STAGES[service]
    assert locked & HEAVY == ALLOWED[service]


def test_the_storage_process_and_the_autoscaler_start_with_the_packages_of_their_image() -> None:
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({HEAVY}))\n"
        "import services.storage.sweep.main, services.storage.migrate, services.autoscaler.main"
    )

    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)

    assert run.returncode == 0, run.stderr


def test_every_service_of_ours_runs_as_nobody_special() -> None:
    targets = {service["build"]["target"] for service in compose()["services"].values() if "build" in service}

    assert targets <= STAGES.keys()
    assert {target for target in targets if "USER 10001:10001\n" not in STAGES[target]} == {"docker-proxy"}


def test_code_comes_after_packages() -> None:
    """So that a change of code keeps the layer of packages."""
    for service in ALLOWED:
        assert STAGES[service].index("-packages /opt/tidepool") < STAGES[service].index("COPY --from=common")


def test_a_service_holds_the_code_of_no_other() -> None:
    held = {service: set(re.findall(r"^COPY services/(\w+) ", STAGES[service], re.MULTILINE)) for service in ALLOWED}

    assert held == {
        "storage": set(),
        "gateway": {"gateway"},
        "preprocess": {"preprocess"},
        "inference": {"inference"},
        "trainer": {"trainer", "inference"},  # it evaluates through the engine that will serve: docs/adr/0003
    }
