"""`tidepool review`"""

import shlex
from pathlib import Path

import httpx
import pytest

from contract.reviews import LeasedReview, ReviewBatch, ReviewItem, ReviewProgress, SourceResult
from tests.unit.tidepool.cli.conftest import Deployment, example, run

LEASED = example(LeasedReview)
ITEM = f"{LEASED['id']}:{LEASED['lease']}"
PNG = b"\x89PNG\r\n"


def test_next_saves_the_image_and_says_how_to_answer(deployment: Deployment, environment: Path) -> None:
    deployment.on("GET", "/v1/reviews/next", example(ReviewBatch))
    deployment.on("GET", f"/v1/reviews/{LEASED['id']}/image", httpx.Response(200, content=PNG))

    result = run("review", "next", "--model", "pet-cnn", "--folder", "images")

    assert result.code == 0
    assert result.out.splitlines() == [
        f"images/{LEASED['id']}.png",
        "  margin of pet-cnn",
        "  the model's guess: cat 50.0 %, dog 37.5 %",
        f"  tidepool review answer {ITEM} cat",
    ]
    assert (environment / "images" / f"{LEASED['id']}.png").read_bytes() == PNG
    assert dict(deployment.requests[0].url.params) == {"count": "1", "model": "pet-cnn"}


def test_next_saves_the_other_images_if_one_fails(deployment: Deployment, environment: Path) -> None:
    kept = LEASED | {"id": "other", "guess": [["sea lion's pup", 0.5]]}
    deployment.on("GET", "/v1/reviews/next", {"items": [LEASED, kept], "reason": None})
    deployment.on("GET", "/v1/reviews/other/image", httpx.Response(200, content=PNG))
    deployment.on("POST", f"/v1/reviews/{LEASED['id']}/lease", example(ReviewItem))

    result = run("review", "next", "--count", "2")

    assert (result.code, result.err.startswith(f"{LEASED['id']}: There is no ")) == (3, True)
    assert [file.name for file in environment.glob("*.png")] == ["other.png"]
    assert shlex.split(result.out.splitlines()[-1]) == [
        *["tidepool", "review", "answer", f"other:{LEASED['lease']}"],
        "sea lion's pup",
    ]
    assert deployment.bodies("POST") == [{"lease": LEASED["lease"], "seconds": 0}]


def test_next_says_why_there_is_nothing(deployment: Deployment) -> None:
    deployment.on("GET", "/v1/reviews/next", {"items": [], "reason": "no image waits for review"})

    result = run("review", "next")

    assert (result.code, result.out, result.err) == (0, "", "No image waits for review.\n")


@pytest.mark.parametrize(
    ("words", "body"),
    [
        (["dog"], {"label": "dog"}),
        (["axolotl", "--new"], {"label": "axolotl", "new": True}),
        (["--not-any"], {"not_any": True}),
        (["--skip"], {"skip": True}),
    ],
)
def test_an_answer_is_sent_with_the_lease(deployment: Deployment, words: list[str], body: dict[str, object]) -> None:
    deployment.on("POST", f"/v1/reviews/{LEASED['id']}", example(ReviewItem))

    result = run("review", "answer", ITEM, *words)

    assert (result.code, result.out.endswith(": it is dog\n")) == (0, True)
    assert deployment.bodies("POST") == [{"lease": LEASED["lease"]} | body]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["answer", LEASED["id"], "cat"], "Copy the item from `tidepool review next`"),
        (["answer", ITEM], "Give a class, or --not-any, or --skip."),
        (["answer", ITEM, "cat", "--skip"], "Give a class, or --not-any, or --skip."),
        (["add", "predictions", "--dataset", "pets"], "predictions needs --job, and nothing else."),
        (["add", "label-errors"], "label-errors needs --job or --dataset, and nothing else."),
        (["ls", "--state", "new"], "There is no state new"),
    ],
)
def test_wrong_arguments_send_nothing(deployment: Deployment, words: list[str], message: str) -> None:
    result = run("review", *words)

    assert (result.code, message in result.err, deployment.requests) == (2, True, [])


def test_undo_shows_the_item_again(deployment: Deployment) -> None:
    deployment.on("POST", "/v1/reviews/undo", LEASED, example(ReviewItem))

    assert f"  tidepool review answer {ITEM} cat" in run("review", "undo").out.splitlines()
    assert "Somebody else reviews the image now." in run("review", "undo").err


def test_status_says_how_far_the_queue_is(deployment: Deployment) -> None:
    deployment.on("GET", "/v1/reviews/progress", example(ReviewProgress))

    lines = run("review", "status").out.splitlines()

    assert lines[:5] == [
        "3 images wait, people hold 1 of them",
        "9 are reviewed, 9 of them are in no dataset version yet",
        "0 were skipped, 0 have expired",
        "1 have different answers: tidepool review ls --disagreement",
        "Cohen's kappa is 0.75",
    ]
    assert lines[6].split()[:4] == ["ann", "8", "1", "1"]
    assert run("review", "status", "--json").json == example(ReviewProgress)


def test_ls_lists_answers_with_their_people(deployment: Deployment) -> None:
    deployment.on("GET", "/v1/reviews", {"items": [example(ReviewItem)], "next": None})

    result = run("review", "ls", "--disagreement", "--dataset", "pets")

    assert "dog (ann)" in result.out
    assert dict(deployment.requests[0].url.params) == {"dataset": "pets", "disagreement": "true", "limit": "20"}


@pytest.mark.parametrize(
    ("words", "body"),
    [
        (["label-errors", "--job", "j1"], {"source": "label_errors", "evaluation": "j1"}),
        (["label-errors", "--dataset", "pets"], {"source": "label_errors", "dataset": "pets"}),
        (["predictions", "--job", "j1", "--below", "0.5"], {"source": "predictions", "job": "j1", "below": 0.5}),
        (["duplicates", "--dataset", "pets@3", "--votes", "2"], {"source": "duplicates", "votes": 2}),
    ],
)
def test_add_fills_the_queue(deployment: Deployment, words: list[str], body: dict[str, object]) -> None:
    deployment.on("POST", "/v1/reviews/sources", example(SourceResult))

    result = run("review", "add", *words)

    assert result.out == ("10 of 12 images are new in the queue; 2 others are in the queue already, or over --limit\n")
    (sent,) = deployment.bodies("POST")
    assert sent.items() >= body.items()
