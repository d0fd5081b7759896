"""/v1/models/{name}/predict"""

import httpx
import pytest

from contract.access import DEFAULT_PROJECT
from contract.errors import BrokerUnavailable, TidepoolError
from messaging.in_memory import MemoryChannel
from messaging.responder import BatchAnswers
from services.gateway.serving import predictor
from services.storage.stores import Stores
from tests.examples import MODEL_MANIFEST, TRAIN_REQUEST
from tests.problems import problem
from tests.published import publish
from tests.unit.gateway.backends import BAD_IMAGE, SETTINGS

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("model")]

PREDICT = "/v1/models/pet-cnn/predict"
PNG = {"Content-Type": "image/png"}


def parts(*images: bytes) -> list[tuple[str, tuple[str, bytes]]]:
    return [("image", ("picture", image)) for image in images]


@pytest.mark.parametrize("media_type", ["image/jpeg", "image/png", "image/webp", "image/bmp", "IMAGE/PNG; q=1"])
async def test_one_picture(client: httpx.AsyncClient, media_type: str) -> None:
    response = await client.post(PREDICT, content=b"picture", headers={"Content-Type": media_type})

    assert response.status_code == 200
    answer = response.json()
    assert (answer["model"], answer["version"]) == ("pet-cnn", 1)
    assert answer["predictions"] == [{"label": "cat", "score": 0.75}]
    assert answer["timing_ms"]["inference"] == 1.5
    assert answer["timing_ms"]["total"] >= answer["timing_ms"]["queue"] >= 0


async def test_the_best_of_a_picture(client: httpx.AsyncClient) -> None:
    response = await client.post(f"{PREDICT}?top_k=1000", content=b"picture", headers=PNG)

    assert [guess["label"] for guess in response.json()["predictions"]] == ["cat", "dog"]


async def test_several_pictures_of_which_one_is_bad(client: httpx.AsyncClient) -> None:
    response = await client.post(PREDICT, files=parts(b"one", b"bad", b"three"))

    # then each has its own answer, in order
    assert response.status_code == 200
    one, bad, three = response.json()["results"]
    assert one == three == {"predictions": [{"label": "cat", "score": 0.75}], "error": None}
    assert bad == BAD_IMAGE.model_dump(mode="json")


async def test_one_request_leaves_room_for_others(
    client: httpx.AsyncClient, channel: MemoryChannel, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a request of more pictures than may wait at once
    monkeypatch.setattr(predictor, "MAX_CONCURRENT_IMAGES", 3)

    response = await client.post(PREDICT, files=parts(*[b"one"] * 10))

    # then they go a few at a time
    assert len(response.json()["results"]) == 10
    assert max(len(batch.questions) for batch in channel.sent) == 3


async def test_a_form_of_one_picture_has_a_list_of_results(client: httpx.AsyncClient) -> None:
    assert len((await client.post(PREDICT, files=parts(b"one"))).json()["results"]) == 1


async def test_a_bad_picture_alone(client: httpx.AsyncClient) -> None:
    response = await client.post(PREDICT, content=b"bad", headers=PNG)

    assert problem(response, 422, "bad_image").detail == "the file is damaged"


@pytest.mark.parametrize("extra", [1, 2, 20])
async def test_more_pictures_than_one_request_may_carry(client: httpx.AsyncClient, extra: int) -> None:
    most = SETTINGS.max_images

    assert len((await client.post(PREDICT, files=parts(*[b""] * most))).json()["results"]) == most
    response = await client.post(PREDICT, files=parts(*[b""] * (most + extra)))

    assert str(most) in problem(response, 413, "too_large").detail


@pytest.mark.parametrize(
    "request_",
    [
        {"files": {"picture": b"one"}},
        {"files": [*parts(b"one"), ("label", (None, "cat"))]},
        {"files": {"image": (None, "text")}},
        {"files": [("image", (None, "text"))] * 9},
        {"content": b"x", "headers": {"Content-Type": "multipart/form-data"}},
        {"content": b"x", "headers": {"Content-Type": "multipart/form-data; boundary=b"}},
        {"content": b"--b--", "headers": {"Content-Type": "multipart/form-data; boundary=b"}},
    ],
    ids=["unknown part", "another part", "no file", "many fields", "no boundary", "no parts", "empty"],
)
async def test_a_form_that_is_wrong(client: httpx.AsyncClient, request_: dict[str, object]) -> None:
    problem(await client.post(PREDICT, **request_), 400, "malformed")  # type: ignore[arg-type]


@pytest.mark.parametrize("media_type", ["image/gif", "application/json", "text/plain", ""])
async def test_another_kind_of_body(client: httpx.AsyncClient, media_type: str) -> None:
    response = await client.post(PREDICT, content=b"x", headers={"Content-Type": media_type})

    assert "image/png" in problem(response, 415, "unsupported_media").detail


async def test_the_version_is_the_newest_or_as_asked(client: httpx.AsyncClient, stores: Stores) -> None:
    # given two versions, and an alias at the first
    publish(stores, TRAIN_REQUEST, MODEL_MANIFEST)
    stores.of(DEFAULT_PROJECT).models.set_alias("pet-cnn", "production", 1)

    # then each request is answered by the version that it means
    for query, version in (("", 2), ("?version=1", 1), ("?version=2", 2), ("?alias=production", 1)):
        response = await client.post(PREDICT + query, content=b"picture", headers=PNG)
        assert response.json()["version"] == version, query


async def test_a_version_and_an_alias_contradict(client: httpx.AsyncClient) -> None:
    response = await client.post(f"{PREDICT}?version=1&alias=production", content=b"picture", headers=PNG)

    problem(response, 422, "invalid")


@pytest.mark.parametrize("path", ["/v1/models/none/predict", f"{PREDICT}?version=2", f"{PREDICT}?alias=production"])
async def test_a_model_that_does_not_exist(client: httpx.AsyncClient, path: str) -> None:
    problem(await client.post(path, content=b"picture", headers=PNG), 404, "not_found")


@pytest.mark.parametrize("query", ["top_k=0", "top_k=1001", "version=0", "version=x", "alias=UPPER"])
async def test_a_query_that_is_wrong(client: httpx.AsyncClient, query: str) -> None:
    response = await client.post(f"{PREDICT}?{query}", content=b"picture", headers=PNG)

    assert problem(response, 422, "invalid").errors[0].where == f"query.{query.partition('=')[0]}"


async def test_nobody_answers_in_time(client: httpx.AsyncClient, channel: MemoryChannel) -> None:
    # given no replica
    channel.held = True

    # when the client does not want to wait for long
    response = await client.post(PREDICT, content=b"picture", headers=PNG | {"X-Request-Timeout": "0.01"})

    # then it hears so
    problem(response, 504, "deadline_exceeded")


@pytest.mark.parametrize("seconds", ["0", "-1", "301", "nan", "inf", "soon"])
async def test_a_deadline_that_is_wrong(client: httpx.AsyncClient, seconds: str) -> None:
    response = await client.post(PREDICT, content=b"picture", headers=PNG | {"X-Request-Timeout": seconds})

    assert problem(response, 422, "invalid").errors[0].where == "header.x-request-timeout"


@pytest.mark.parametrize("error", [BrokerUnavailable("the broker does not answer"), TidepoolError("an internal error")])
async def test_the_pool_fails(client: httpx.AsyncClient, channel: MemoryChannel, error: TidepoolError) -> None:
    def fail(*_: object) -> BatchAnswers:
        raise error

    channel.respond = fail

    found = problem(await client.post(PREDICT, content=b"picture", headers=PNG), error.status, error.code)

    assert found.detail == error.message
