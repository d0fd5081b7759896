"""Loading ONNX files into sessions."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper
from structlog.testing import capture_logs

from contract.errors import BadModel, Unavailable
from contract.models import METADATA_KEY
from services.inference.engine.loader import ModelLoader, _warn_of_precision
from services.inference.engine.onnx_runtime import load_gpu_libraries
from services.inference.engine.providers import CPU, CUDA, Placement, ProviderChoice
from services.inference.engine.session import BoundSession
from services.inference.settings import InferenceSettings
from tests.support.onnx_models import CARD, linear, onnx_file, random_images
from tests.unit.inference.vetting.models import external


def value(name: str, *shape: int | str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def test_a_path_and_its_bytes_load_the_same(tmp_path: Path) -> None:
    path, images = tmp_path / "model.onnx", random_images(3)
    path.write_bytes(linear())

    from_path, from_bytes = ModelLoader().load(path), ModelLoader().load(linear())

    assert from_path.card == from_bytes.card == CARD
    np.testing.assert_array_equal(from_path.run(images), from_bytes.run(images))


@pytest.mark.parametrize("garbage", [b"", b"garbage", linear()[:400], bytes(1000)])
def test_bytes_that_are_not_a_model_are_rejected(garbage: bytes) -> None:
    with pytest.raises(BadModel, match="as an ONNX graph"):
        ModelLoader().load(garbage)


def test_a_missing_file_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(BadModel, match="as an ONNX graph"):
        ModelLoader().load(tmp_path / "nothing.onnx")


def test_weights_in_another_file_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret").write_bytes(np.ones(2, np.float32).tobytes())
    path, model = tmp_path / "model.onnx", external("secret")
    model.graph.node[0].op_type = "Add"
    model.graph.node[0].input.append("w")
    path.write_bytes(model.SerializeToString())
    monkeypatch.chdir(tmp_path)

    for source in (path, path.read_bytes()):
        with pytest.raises(BadModel, match="as an ONNX graph"):
            ModelLoader().load(source)


def test_a_file_without_a_card_rejects_images() -> None:
    model = ModelLoader().load(linear(card=None))

    with pytest.raises(BadModel, match="/v2"):
        model.run(random_images(1))


@pytest.mark.parametrize("text", ["", "{}", "not json", CARD.model_dump_json()[:-2]])
def test_a_malformed_card_is_rejected(text: str) -> None:
    model = onnx.load_from_string(linear(card=None))
    helper.set_model_props(model, {METADATA_KEY: text})

    with pytest.raises(BadModel, match="malformed"):
        ModelLoader().load(model.SerializeToString())


def test_labels_must_match_the_logits() -> None:
    with pytest.raises(BadModel, match="gives 4 scores for each image, but there are 3 labels"):
        ModelLoader().load(linear(weights=np.zeros((144, 4), np.float32)))


def test_a_classifier_with_two_inputs_is_rejected() -> None:
    add = helper.make_node("Add", ["a", "b"], ["logits"])
    graph = helper.make_graph([add], "two", [value("a", "n", 3), value("b", "n", 3)], [value("logits", "n", 3)])

    with pytest.raises(BadModel, match="2 inputs"):
        ModelLoader().load(onnx_file(graph, CARD))


def test_a_graph_with_a_batch_of_one_runs_images_one_by_one() -> None:
    flatten = helper.make_node("Flatten", ["images"], ["logits"])
    graph = helper.make_graph([flatten], "one", [value("images", 1, 3, 8, 6)], [value("logits", 1, 144)])

    card = CARD.model_copy(update={"labels": tuple(map(str, range(144)))})
    model = ModelLoader(max_batch=2).load(onnx_file(graph, card))

    assert model.batch == 1
    assert model.run(random_images(3)).shape == (3, 144)


def loader(choice: ProviderChoice = ProviderChoice.AUTO) -> ModelLoader:
    return ModelLoader.of(InferenceSettings(provider=choice))


def test_a_provider_missing_from_the_build_is_rejected_at_once() -> None:
    with pytest.raises(ValueError, match="TIDEPOOL_INFERENCE_PROVIDER is cuda"):
        loader(ProviderChoice.CUDA)


def test_a_broken_device_raises_unavailable_if_it_was_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    # ONNX Runtime reports CUDA, as a CUDA build does on a machine without a driver.
    monkeypatch.setattr(ort, "get_available_providers", lambda: [CUDA, CPU])

    with pytest.warns(UserWarning, match=CUDA), pytest.raises(Unavailable, match="cuda"):
        loader(ProviderChoice.CUDA).load(linear())


def test_a_broken_device_falls_back_to_the_cpu_if_none_was_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ort, "get_available_providers", lambda: [CUDA, CPU])

    with pytest.warns(UserWarning, match=CUDA):
        assert loader().load(linear()).provider == CPU


@pytest.mark.parametrize(
    ("choice", "loads"), [(ProviderChoice.CUDA, 1), (ProviderChoice.AUTO, 1), (ProviderChoice.CPU, 0)]
)
def test_the_libraries_of_the_gpu_are_loaded_once_where_it_is_used(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], choice: ProviderChoice, loads: int
) -> None:
    calls: list[None] = []
    load_gpu_libraries.cache_clear()
    monkeypatch.setattr(ort, "get_available_providers", lambda: [CUDA, CPU])
    monkeypatch.setattr(ort, "preload_dlls", lambda: (calls.append(None), print("libcudart.so is missing")))

    for _ in range(2):
        loader(choice)

    assert len(calls) == loads
    assert capfd.readouterr().out == ""  # which is for results of commands
    load_gpu_libraries.cache_clear()


@pytest.mark.parametrize("choice", [ProviderChoice.AUTO, ProviderChoice.CUDA])
def test_a_session_on_a_gpu_binds_its_tensors(choice: ProviderChoice, gpu: None) -> None:
    model = ModelLoader(placement=Placement(choice)).load(linear())

    assert model.provider == CUDA
    assert isinstance(model.session, BoundSession)


def test_the_former_setting_of_the_precision_is_ignored_with_one_warning() -> None:
    _warn_of_precision.cache_clear()

    with capture_logs() as logs:
        models = [ModelLoader.of(InferenceSettings(precision="fp16")).load(linear()) for _ in range(2)]

    np.testing.assert_array_equal(models[0].run(random_images(3)), ModelLoader().load(linear()).run(random_images(3)))
    assert [entry["log_level"] for entry in logs] == ["warning"]
    assert "TIDEPOOL_INFERENCE_PRECISION" in logs[0]["event"]


def test_a_gpu_works_on_two_batches_at_once_and_a_cpu_on_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ort, "get_available_providers", lambda: [CUDA, CPU])

    assert (loader(ProviderChoice.CUDA).batches_at_once, loader(ProviderChoice.CPU).batches_at_once) == (2, 1)
