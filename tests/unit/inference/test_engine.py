"""Loading ONNX files."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper
from structlog.testing import capture_logs

from contract.errors import BadModel, Unavailable
from contract.models import METADATA_KEY
from services.inference.engine import Engine
from services.inference.providers import CPU, CUDA, Choice, Precision
from services.inference.session import BoundSession
from services.inference.settings import InferenceSettings
from tests.support.onnx_models import CARD, linear, onnx_file, pictures


def value(name: str, *shape: int | str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def test_a_path_and_its_bytes_load_the_same(tmp_path: Path) -> None:
    path, images = tmp_path / "model.onnx", pictures(3)
    path.write_bytes(linear())

    from_path, from_bytes = Engine().load(path), Engine().load(linear())

    assert from_path.card == from_bytes.card == CARD
    np.testing.assert_array_equal(from_path.run(images), from_bytes.run(images))


@pytest.mark.parametrize("garbage", [b"", b"garbage", linear()[:400], bytes(1000)])
def test_garbage_is_no_model(garbage: bytes) -> None:
    with pytest.raises(BadModel, match="no ONNX graph"):
        Engine().load(garbage)


def test_no_file_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(BadModel, match="no ONNX graph"):
        Engine().load(tmp_path / "nothing.onnx")


def test_a_file_without_a_card_takes_no_pictures() -> None:
    model = Engine().load(linear(card=None))

    with pytest.raises(BadModel, match="/v2"):
        model.run(pictures(1))


@pytest.mark.parametrize("text", ["", "{}", "not json", CARD.model_dump_json()[:-2]])
def test_a_malformed_card_is_refused(text: str) -> None:
    model = onnx.load_from_string(linear(card=None))
    helper.set_model_props(model, {METADATA_KEY: text})

    with pytest.raises(BadModel, match="malformed"):
        Engine().load(model.SerializeToString())


def test_labels_must_match_the_logits() -> None:
    with pytest.raises(BadModel, match="each of the 3 labels"):
        Engine().load(linear(weights=np.zeros((144, 4), np.float32)))


def test_two_inputs_are_refused() -> None:
    add = helper.make_node("Add", ["a", "b"], ["logits"])
    graph = helper.make_graph([add], "two", [value("a", "n", 3), value("b", "n", 3)], [value("logits", "n", 3)])

    with pytest.raises(BadModel, match="one input"):
        Engine().load(onnx_file(graph, CARD))


def test_a_graph_for_one_picture_only_is_refused() -> None:
    flatten = helper.make_node("Flatten", ["images"], ["logits"])
    graph = helper.make_graph([flatten], "one", [value("images", 1, 3, 8, 6)], [value("logits", 1, 144)])

    with pytest.raises(BadModel):
        Engine(max_batch=2).load(onnx_file(graph, CARD.model_copy(update={"labels": tuple(map(str, range(144)))})))


def asked(choice: Choice = Choice.AUTO, precision: Precision = Precision.FP32, cache: Path | None = None) -> Engine:
    return Engine.of(InferenceSettings(provider=choice, precision=precision, graph_cache=cache))


def test_a_provider_that_was_not_built_in_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="TIDEPOOL_INFERENCE_PROVIDER is cuda"):
        asked(Choice.CUDA)


def test_a_device_that_does_not_work_is_an_outage_where_it_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    # ONNX Runtime says that it has CUDA, as a build for it does on a machine without a driver.
    monkeypatch.setattr(ort, "get_available_providers", lambda: [CUDA, CPU])

    with pytest.warns(UserWarning, match=CUDA), pytest.raises(Unavailable, match="cuda"):
        asked(Choice.CUDA).load(linear())


def test_a_device_that_does_not_work_is_not_used_where_none_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ort, "get_available_providers", lambda: [CUDA, CPU])

    with pytest.warns(UserWarning, match=CUDA):
        assert asked().load(linear()).provider == CPU


@pytest.mark.parametrize("choice", [Choice.AUTO, Choice.CUDA])
def test_a_gpu_is_used_with_its_tensors_bound(choice: Choice, gpu: None) -> None:
    model = asked(choice).load(linear())

    assert model.provider == CUDA
    assert isinstance(model.session, BoundSession)


@pytest.mark.usefixtures("gpu")
def test_half_precision_on_a_gpu(tmp_path: Path) -> None:
    images, single = pictures(3), asked().load(linear()).run(pictures(3))

    half = asked(precision=Precision.FP16, cache=tmp_path).load(linear()).run(images)

    assert not np.array_equal(half, single)
    np.testing.assert_allclose(half, single, rtol=0, atol=1e-2)
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.usefixtures("gpu")
def test_a_graph_that_cannot_be_halved_runs_in_single_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = asked().load(linear()).run(pictures(3))
    monkeypatch.setattr(onnx, "load_from_string", None)

    with capture_logs() as logs:
        model = asked(precision=Precision.FP16).load(linear())

    np.testing.assert_array_equal(model.run(pictures(3)), expected)
    assert [entry["event"] for entry in logs] == ["a model runs in single precision"]


def test_the_cpu_computes_in_single_precision_and_says_so() -> None:
    with capture_logs() as logs:
        model = asked(precision=Precision.FP16).load(linear())

    np.testing.assert_array_equal(model.run(pictures(3)), Engine().load(linear()).run(pictures(3)))
    assert [(entry["log_level"], entry["provider"]) for entry in logs] == [("warning", CPU)]


def test_a_gpu_works_on_one_batch_while_the_next_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ort, "get_available_providers", lambda: [CUDA, CPU])

    assert (asked(Choice.CUDA).batches_at_once, asked(Choice.CPU).batches_at_once) == (2, 1)
