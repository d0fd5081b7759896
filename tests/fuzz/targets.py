"""What is fuzzed: functions of bytes that may refuse their input, but not fail in another way."""

import io
import json
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError
from PIL import Image

from contract.errors import Refused
from contract.images import ImageSpec
from contract.kinds.preprocess import PreprocessSpec
from media.archives.archive import Archive
from media.archives.limits import MIB, Limits
from media.archives.rejections import Rejections
from media.images.decoding import decode_image
from services.gateway.oip import binary_codec, grpc_codec
from services.gateway.oip.proto.inference_pb2 import ModelInferRequest
from services.inference.vetting.static import check, parse
from services.preprocess.plan import plan_dataset
from tests.support.onnx_models import linear

PIXELS = 2**20  # of the largest image: a larger one takes long and finds nothing else
LIMITS = Limits(members=200, member_bytes=4 * MIB, total_bytes=16 * MIB, pixels=PIXELS)
SPEC = PreprocessSpec.model_validate({"dataset": "fuzz", "source": {"upload": "0" * 32}})
MOST_READ = 8  # files of an archive
TABLES = ("labels.csv", "labels.tsv", "metadata.jsonl")

_folder = tempfile.TemporaryDirectory(prefix="fuzz-")
_FILE = Path(_folder.name) / "archive"


def image(data: bytes) -> None:
    """Decode an image; the first byte chooses the options."""
    options, data = (data[0], data[1:]) if data else (0, b"")
    spec = ImageSpec(size=(16, 16), mode="L" if options & 1 else "RGB")
    decode_image(data, spec, strict=bool(options & 2), max_pixels=PIXELS)


def archive(data: bytes) -> None:
    """Read the first files of a zip or tar, and plan a dataset."""
    _FILE.write_bytes(data)
    with Archive(_FILE, LIMITS, Rejections()) as opened:
        for name in opened.names[:MOST_READ]:
            try:
                opened.head(name, 100)
                opened.read(name)
            except Refused:
                continue
    plan_dataset(_FILE, SPEC, LIMITS)


def table(data: bytes) -> None:
    """Plan a dataset whose labels are in a table; the first byte chooses the table's format."""
    _FILE.write_bytes(_zipped({f"images/{number}.png": PNG for number in range(6)} | _named_table(data)))
    plan_dataset(_FILE, SPEC, LIMITS)


def tensors(data: bytes) -> None:
    """Decode an inference request as it comes over HTTP; the first two bytes are the length of its JSON."""
    size = int.from_bytes(data[:2], "big")
    binary_codec.decode(data[2:], size or None)


def grpc(data: bytes) -> None:
    """Decode an inference request as it comes over gRPC."""
    try:
        request = ModelInferRequest.FromString(data)
    except DecodeError:
        return
    grpc_codec.decode(request)


def graph(data: bytes) -> None:
    """Check an ONNX file without running it."""
    check(parse(data))


Target = Callable[[bytes], None]
TARGETS: Mapping[str, Target] = {target.__name__: target for target in (image, archive, table, tensors, grpc, graph)}


def run(target: Target, data: bytes) -> bool:
    """Return whether the target takes the input; it may refuse it, and every other error is a find."""
    try:
        target(data)
    except Refused:
        return False
    return True


def seeds(name: str) -> list[bytes]:
    """Return small valid inputs, from which the fuzzer starts."""
    return _SEEDS[name]()


def _images() -> list[bytes]:
    formats = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "PPM", "JPEG2000", "AVIF")
    return [b"\0" + _encoded(kind, mode) for kind in formats for mode in ("RGB", "L") if (kind, mode) != ("AVIF", "L")]


def _encoded(kind: str, mode: str = "RGB") -> bytes:
    file = io.BytesIO()
    Image.linear_gradient("L").resize((12, 9)).convert(mode).save(file, kind)
    return file.getvalue()


PNG = _encoded("PNG")


def _named_table(data: bytes) -> dict[str, bytes]:
    number = data[0] if data else 0
    return {TABLES[number % len(TABLES)]: data[1:]}


def _zipped(files: Mapping[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as opened:
        for name, content in files.items():
            opened.writestr(zipfile.ZipInfo(name), content, method)
    return file.getvalue()


def _archives() -> list[bytes]:
    folders = {f"train/{label}/{number}.png": PNG for label in ("cat", "dog") for number in range(2)}
    listed = {f"{number}.png": PNG for number in range(2)} | {"labels.csv": b"file,label\n0.png,cat\n1.png,dog\n"}
    methods = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
    return [_zipped(files, method) for files in (folders, listed) for method in methods] + [_tarred(folders)]


def _tarred(files: Mapping[str, bytes]) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as opened:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            opened.addfile(member, io.BytesIO(content))
    return file.getvalue()


def _tables() -> list[bytes]:
    rows = [("file", "label"), *((f"{number}.png", ("cat", "dog")[number % 2]) for number in range(6))]
    lines = "".join(json.dumps({"file_name": name, "label": label}) + "\n" for name, label in rows[1:])
    one_hot = "id;cat;dog\r\n" + "".join(f"{number};{number % 2};{1 - number % 2}\r\n" for number in range(6))
    texts = [(0, ","), (1, "\t")]
    separated = [bytes([kind]) + "".join(f"{a}{by}{b}\n" for a, b in rows).encode() for kind, by in texts]
    return [*separated, b"\2" + lines.encode(), b"\0" + one_hot.encode("utf-8-sig")]


def _tensors() -> list[bytes]:
    typed = {"inputs": [{"name": "images", "datatype": "FP32", "shape": [1, 2], "data": [1, 2.5]}]}
    raw = {"inputs": [{"name": "i", "datatype": "UINT8", "shape": [4], "parameters": {"binary_data_size": 4}}]}
    text = json.dumps(raw | {"id": "7", "outputs": [{"name": "o", "parameters": {"classification": 2}}]}).encode()
    return [b"\0\0" + json.dumps(typed).encode(), len(text).to_bytes(2, "big") + text + b"\1\2\3\4"]


def _requests() -> list[bytes]:
    request = ModelInferRequest(model_name="net", id="7")
    tensor = request.inputs.add(name="images", datatype="FP32", shape=[1, 2])
    tensor.contents.fp32_contents.extend([1, 2])
    request.outputs.add(name="logits").parameters["classification"].int64_param = 2
    raw = ModelInferRequest(model_name="net", raw_input_contents=[b"\1\2"])
    raw.inputs.add(name="images", datatype="UINT8", shape=[2])
    return [request.SerializeToString(), raw.SerializeToString()]


def _graphs() -> list[bytes]:
    node, value = onnx.helper.make_node, onnx.helper.make_tensor_value_info
    boolean, number = onnx.TensorProto.BOOL, onnx.TensorProto.FLOAT
    branch = onnx.helper.make_graph([node("Identity", ["x"], ["z"])], "branch", [], [value("z", number, [1])])
    graph = onnx.helper.make_graph(
        [node("If", ["c"], ["y"], then_branch=branch, else_branch=branch)],
        "main",
        [value("c", boolean, []), value("x", number, [1])],
        [value("y", number, [1])],
    )
    return [linear(), onnx.helper.make_model(graph).SerializeToString()]


_SEEDS: Mapping[str, Callable[[], list[bytes]]] = {
    "image": _images,
    "archive": _archives,
    "table": _tables,
    "tensors": _tensors,
    "grpc": _requests,
    "graph": _graphs,
}
