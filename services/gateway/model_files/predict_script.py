"""The file `predict.py` of an exported model, and what it does not read like the server.

It stands alone, so it repeats what media/images and the engine do, for the resize method of the model only.
"""

from contract.images import Resize

_RESIZED: dict[Resize, str] = {
    "stretch": """\
    image = image.resize((WIDTH, HEIGHT), Image.Resampling.BILINEAR)
""",
    "crop": """\
    image = ImageOps.fit(image, (WIDTH, HEIGHT), Image.Resampling.BILINEAR)
""",
    "pad": """\
    scale = min(WIDTH / image.width, HEIGHT / image.height)
    inner = [max(1, round(side * scale)) for side in image.size]
    resized, image = image.resize(inner, Image.Resampling.BILINEAR), Image.new(image.mode, (WIDTH, HEIGHT))
    image.paste(resized, ((WIDTH - inner[0]) // 2, (HEIGHT - inner[1]) // 2))
""",
}

_SCRIPT = '''"""Classify images like the server that exported this model: python predict.py IMAGE..."""
import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

FOLDER = Path(__file__).parent
LABELS = json.loads((FOLDER / "labels.json").read_text("utf-8"))
SPEC = json.loads((FOLDER / "preprocessing.json").read_text("utf-8"))
SESSION = onnxruntime.InferenceSession(str(FOLDER / "model.onnx"), providers=["CPUExecutionProvider"])
INPUT, (HEIGHT, WIDTH) = SESSION.get_inputs()[0], SPEC["size"]

def predict(file):
    """Return (label, score) for each class, best first."""
    image = Image.open(file)
    image.draft(None, (2 * max(SPEC["size"]),) * 2)  # a large JPEG is decoded at a reduced size
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I;16"):
        image = Image.fromarray(((np.asarray(image).astype(np.int64) * 255 + 32767) // 65535).astype(np.uint8))
    colours = image.convert("RGBA").convert("RGBa").split()[:3] if image.has_transparency_data else None
    image = Image.merge("RGB", colours) if colours else image.convert(SPEC["mode"])  # transparency becomes black
@RESIZE@    pixels = np.asarray(image.convert(SPEC["mode"])).reshape(HEIGHT, WIDTH, -1)
    pixels = (pixels * np.float32(SPEC["factor"]) + np.float32(SPEC["offset"])).astype(SPEC["dtype"])
    pixels = pixels.transpose(SPEC["axes"]).reshape(SPEC["shape"])
    rows = INPUT.shape[0] if isinstance(INPUT.shape[0], int) else 1  # some models take only batches of one size
    output = SESSION.run(None, {INPUT.name: np.stack([pixels] * rows)})[0].reshape(rows, -1)[0].astype(np.float32)
    @OUTPUT@
    return [(LABELS[index], float(scores[index])) for index in np.argsort(-scores, kind="stable")]

if __name__ == "__main__":
    for name in sys.argv[1:]:
        print(name, *(f"{label}: {score:.1%}" for label, score in predict(name)[:3]), sep="\\t")
'''

_PROBABILITIES = """scores = np.maximum(output if len(output) == len(LABELS) else np.append(1 - output, output), 0)"""
_LOGITS = """powers = np.exp(output - output.max()) if len(output) == len(LABELS) else np.exp(np.append(0, output))
    scores = powers / powers.sum()"""

README = """\
# An exported model

`pip install -r requirements.txt`, then `python predict.py photo.jpg`. `card.md` describes the model.

`predict.py` reads images with Pillow and gives the answers of the server for JPEG, PNG, GIF, WebP and BMP: upright by
their EXIF orientation, transparency on black, 16-bit gray scaled to 8 bits. The server does more for these:

- files that are cut off near their end, or whose metadata is damaged, which it repairs;
- 16-bit PNG with a transparent colour, and BMP with an alpha channel that is zero everywhere;
- TIFF with samples of 12 bits or floating point, 16-bit PGM, JPEG 2000, AVIF, and HEIC, which Pillow reads only with
  the package `pillow-heif`.

`preprocessing.json` has what the model needs: `pixel * factor + offset` is `(pixel / 255 * scale - mean) / std`, then
the axes (height, width, channel) are transposed to `axes`, and the array has the `shape` of one image.
"""


def script(resize: Resize, output: str) -> str:
    """Return `predict.py` for a model."""
    scores = _PROBABILITIES if output == "probabilities" else _LOGITS
    return _SCRIPT.replace("@RESIZE@", _RESIZED[resize]).replace("@OUTPUT@", scores)
