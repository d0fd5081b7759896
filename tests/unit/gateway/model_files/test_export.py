"""The export of a model version, and the answers of its `predict.py`."""

import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from contract.artifacts import Bucket
from contract.errors import Corrupt
from contract.images import ImageSpec, Layout, Mode, Preprocessing, Resize
from contract.models import METADATA_KEY, ModelCard, Output
from contract.training import ModelManifest
from media.images import decode
from services.gateway.model_files.export import exported, files_of
from services.gateway.model_files.predict_script import script
from services.inference.engine.loader import ModelLoader
from services.inference.engine.postprocess import probabilities, softmax
from services.storage.memory_objects import MemoryObjects
from tests.examples import MODEL_MANIFEST, VETTED_MANIFEST
from tests.support.images import encoded, noise
from tests.support.onnx_classifiers import LOGITS, SIGMOID, SOFTMAX, Nodes
from tests.support.onnx_models import linear

EXAMPLES = Path(__file__).parents[4] / "examples"
DRIVER = """
import json, sys
sys.path.insert(0, sys.argv[1])
import predict
print(json.dumps([predict.predict(file) for file in sys.argv[2:]]))
ours = {"contract", "media", "messaging", "services", "tidepool", "torch", "pydantic"} & set(sys.modules)
assert not ours, ours
"""


def card(size: tuple[int, int], mode: str, resize: str) -> ModelCard:
    channels = 1 if mode == "L" else 3
    image = ImageSpec.model_validate({"size": size, "mode": mode, "resize": resize})
    preprocessing = Preprocessing(image=image, mean=(0.49, 0.48, 0.45)[:channels], std=(0.25, 0.24, 0.26)[:channels])
    return ModelCard(labels=("cat", "dog", "a\nred owl"), preprocessing=preprocessing)


def manifest_of(model_card: ModelCard) -> ModelManifest:
    return MODEL_MANIFEST.model_copy(
        update={"labels": model_card.labels, "preprocessing": model_card.preprocessing, "variants": ()}
    )


def unpacked(folder: Path, model_card: ModelCard) -> Path:
    """The folder with an export of a model with this card."""
    objects = MemoryObjects()
    weights = np.random.default_rng(0).normal(
        0, 3e-2, (int(np.prod(model_card.preprocessing.image.shape)), len(model_card.labels))
    )
    artifact = objects.put(Bucket.JOBS, "model.onnx", linear(model_card, weights.astype(np.float32)))
    data = b"".join(exported(objects, artifact, files_of(manifest_of(model_card), "# A card")))
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        archive.extractall(folder)
    return folder


def photos(archive: str, count: int) -> dict[str, bytes]:
    """Every n-th image of an example archive."""
    with zipfile.ZipFile(EXAMPLES / archive) as file:
        names = [info.filename for info in file.infolist() if info.filename.endswith((".jpg", ".png"))]
        return {f"{archive}-{number}.jpg": file.read(name) for number, name in enumerate(names[:: len(names) // count])}


def made() -> dict[str, bytes]:
    """An image of each kind that people have."""
    colour, gray = Image.fromarray(noise(61, 83)), Image.fromarray(noise(61, 83, channels=1))
    alpha = Image.fromarray(noise(45, 30, channels=4), "RGBA")
    palette = colour.quantize(16)
    exif = Image.Exif()
    files = {
        "gray.png": encoded(gray),
        "gray-16.png": encoded(Image.fromarray(noise(40, 50, 2).astype(np.uint16)[:, :, 0] * 256 + 7)),
        "alpha.png": encoded(alpha),
        "gray-alpha.png": encoded(alpha.convert("LA")),
        "palette.png": encoded(palette),
        "palette-transparent.png": encoded(palette, transparency=3),
        "colour.webp": encoded(colour, "WEBP", lossless=True),
        "colour.bmp": encoded(colour, "BMP"),
        "large.jpg": encoded(colour.resize((900, 700)), "JPEG", progressive=True),
        "gray.jpg": encoded(gray, "JPEG"),
        "cmyk.jpg": encoded(colour.convert("CMYK"), "JPEG"),
        "narrow.png": encoded(noise(300, 2)),
    }
    for orientation in range(1, 9):
        exif[0x0112] = orientation
        files[f"turned-{orientation}.jpg"] = encoded(colour.resize((400, 300)), "JPEG", exif=exif)
    exif[0x0112] = 6
    return files | {"turned.png": encoded(colour, exif=exif)}


def predicted(folder: Path, files: Iterable[Path]) -> list[dict[str, float]]:
    """The answers of `predict.py` in a process that cannot import Tidepool by accident."""
    command = [sys.executable, "-I", "-c", DRIVER, str(folder), *map(str, files)]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
    return [dict(answer) for answer in json.loads(process.stdout)]


@pytest.mark.parametrize(
    ("size", "mode", "resize"),
    [
        ((24, 20), "RGB", "stretch"),
        ((20, 32), "RGB", "crop"),
        ((32, 20), "L", "crop"),
        ((20, 30), "L", "stretch"),
        ((64, 64), "RGB", "pad"),
        ((32, 32), "L", "pad"),
    ],
)
def test_predict_py_answers_like_the_server(size: tuple[int, int], mode: str, resize: str, tmp_path: Path) -> None:
    model_card = card(size, mode, resize)
    folder = unpacked(tmp_path / "model", model_card)
    images = made() | photos("cifar10-sample.zip", 10) | photos("clothing-sample.zip", 10)
    for name, data in images.items():
        (tmp_path / name).write_bytes(data)

    answers = predicted(folder, [tmp_path / name for name in images])

    model = ModelLoader().load(folder / "model.onnx")
    for answer, (name, data) in zip(answers, images.items(), strict=True):
        scores = softmax(model.run(decode(data, model_card.preprocessing.image)[np.newaxis]))[0]
        server = dict(zip(model_card.labels, scores.tolist(), strict=True))
        assert answer == pytest.approx(server, abs=1e-5), name
        assert list(answer) == sorted(server, key=lambda label: -server[label]), name


@pytest.mark.parametrize("output", ["logits", "probabilities"])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC", "NHW"])
@pytest.mark.parametrize(
    ("last", "classes"), [(LOGITS, 3), (SIGMOID, 3), (SOFTMAX, 2), (SIGMOID, 1)], ids=["3", "sigmoid", "softmax", "one"]
)
def test_predict_py_scores_like_the_server(
    output: Output, layout: Layout, last: Nodes, classes: int, tmp_path: Path
) -> None:
    # given a network that gives one score, independent ones or a softmax, and takes two images at a time
    mode: Mode = "L" if layout == "NHW" else "RGB"
    image = ImageSpec(size=(6, 8), mode=mode, resize="crop")
    channels = image.shape[0]
    preprocessing = Preprocessing(
        image=image, mean=(120.0,) * channels, std=(61.0,) * channels, scale=255, layout=layout, dtype="float16"
    )
    labels = ("cat", "dog", "owl")[: max(classes, 2)]
    model_card = ModelCard(labels=labels, preprocessing=preprocessing, output=output)
    objects = MemoryObjects()
    artifact = objects.put(Bucket.JOBS, "model.onnx", flat(model_card, classes, last))
    manifest = manifest_of(model_card).model_copy(update={"output": output})
    with zipfile.ZipFile(io.BytesIO(b"".join(exported(objects, artifact, files_of(manifest, "# A card"))))) as archive:
        archive.extractall(tmp_path)
    (tmp_path / "a.png").write_bytes(encoded(noise(30, 40)))

    (answer,) = predicted(tmp_path, [tmp_path / "a.png"])

    model = ModelLoader().load(tmp_path / "model.onnx")
    logits = model.run(decode((tmp_path / "a.png").read_bytes(), image)[np.newaxis])
    server = dict(zip(labels, probabilities(logits, output)[0].tolist(), strict=True))
    assert answer == pytest.approx(server, abs=1e-5)


def flat(model_card: ModelCard, classes: int, last: Nodes) -> bytes:
    """Make a network of one dense layer on float16 pixels, which takes two images at a time."""
    channels, height, width = model_card.preprocessing.image.shape
    layout = model_card.preprocessing.layout
    axes = {"NCHW": (channels, height, width), "NHWC": (height, width, channels), "NHW": (height, width)}[layout]
    nodes = [
        helper.make_node("Cast", ["images"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Flatten", ["floats"], ["pixels"]),
        helper.make_node("MatMul", ["pixels", "weights"], ["logits"]),
        *last,
    ]
    weights = np.random.default_rng(0).normal(0, 0.1, (channels * height * width, classes)).astype(np.float32)
    graph = helper.make_graph(
        nodes,
        "flat",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT16, (2, *axes))],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, (2, classes))],
        [numpy_helper.from_array(weights, "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, {METADATA_KEY: model_card.model_dump_json()})
    return model.SerializeToString()


@pytest.mark.parametrize("resize", ["stretch", "crop", "pad"])
@pytest.mark.parametrize("output", ["logits", "probabilities"])
def test_predict_py_is_short(resize: Resize, output: Output) -> None:
    lines = script(resize, output).splitlines()

    assert len(lines) <= 40
    assert max(map(len, lines)) <= 120


def test_predict_py_prints_the_best_classes_of_files(tmp_path: Path) -> None:
    folder = unpacked(tmp_path, card((8, 8), "RGB", "stretch"))
    (tmp_path / "a.png").write_bytes(encoded(noise()))

    command = [sys.executable, "-I", str(folder / "predict.py"), str(tmp_path / "a.png")]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout

    assert printed.startswith(f"{tmp_path / 'a.png'}\t")
    assert "dog: " in printed


def test_the_export_of_a_model_that_takes_tensors_has_no_script() -> None:
    assert set(files_of(VETTED_MANIFEST, "# A card")) == {"card.md", "requirements.txt"}


def test_an_image_model_exports_its_labels_in_order() -> None:
    files = files_of(manifest_of(card((8, 8), "L", "crop")), "# A card")

    assert json.loads(files["labels.json"]) == ["cat", "dog", "a\nred owl"]
    assert json.loads(files["preprocessing.json"])["size"] == [8, 8]


def test_a_damaged_model_is_noticed_before_the_first_byte() -> None:
    objects = MemoryObjects()
    artifact = objects.put(Bucket.JOBS, "model.onnx", b"model")
    objects.content[Bucket.JOBS, "model.onnx"] = b"other"

    with pytest.raises(Corrupt):
        exported(objects, artifact, {})
