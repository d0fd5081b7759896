"""`tidepool review sampling`"""

import httpx
import pytest

from contract.sampling import AliasSampling
from tests.unit.tidepool.cli.conftest import Deployment, example, run

PATH = "/v1/models/pet-cnn/aliases/production/review"
SHOWN = example(AliasSampling)


def test_it_shows_what_is_sampled(deployment: Deployment) -> None:
    deployment.on("GET", PATH, SHOWN)

    assert run("review", "sampling", "pet-cnn@production").out.splitlines() == [
        "Of pet-cnn@production, 50 images a day go to the review queue: margin 50%, random 50%, disagreement 0%",
        "  today: 45 of 1,000 predictions",
        "  copies: 1.0 MiB of at most 1.0 GiB, kept 30 days",
    ]
    assert run("review", "sampling", "pet-cnn@production", "--json").json == SHOWN


def test_options_turn_it_on(deployment: Deployment) -> None:
    deployment.on("GET", PATH, httpx.Response(404, json={"code": "not_found", "detail": "off", "status": 404}))
    deployment.on("PUT", PATH, SHOWN)

    options = ("--rate", "50", "--mix", "margin=0.5, random=.5", "--max-bytes", "2GiB", "--votes", "2")
    assert run("review", "sampling", "pet-cnn@production", *options).code == 0

    mix = {"margin": 0.5, "random": 0.5, "disagreement": 0.0}
    assert deployment.bodies("PUT") == [{"rate_per_day": 50, "mix": mix, "max_bytes": 2 << 30, "votes": 2}]


def test_what_is_not_given_stays(deployment: Deployment) -> None:
    deployment.on("GET", PATH, SHOWN)
    deployment.on("PUT", PATH, SHOWN)

    run("review", "sampling", "pet-cnn@production", "--keep-days", "7")

    kept = {field: SHOWN[field] for field in ("rate_per_day", "mix", "max_bytes", "votes")}
    assert deployment.bodies("PUT") == [kept | {"keep_days": 7}]


def test_it_is_turned_off(deployment: Deployment) -> None:
    deployment.on("DELETE", PATH, None, status=204)

    result = run("review", "sampling", "pet-cnn@production", "--off")

    assert (result.code, result.out) == (0, "")
    assert "no longer sampled" in result.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["pet-cnn"], "pet-cnn names no alias; write it as pet-cnn@production."),
        (["pet-cnn@production", "--mix", "doubt=1"], "Write the shares like margin=0.7,random=0.2,disagreement=0.1."),
        (["pet-cnn@production", "--off", "--rate", "5"], "Use --off without other options."),
        (["pet-cnn@production", "--max-bytes", "lots"], "--max-bytes is a size like 500MB or 10GiB, not lots."),
    ],
)
def test_wrong_usage_says_what_to_write(deployment: Deployment, words: list[str], message: str) -> None:
    result = run("review", "sampling", *words)

    assert result.code == 2
    assert message in result.err
    assert deployment.requests == []
