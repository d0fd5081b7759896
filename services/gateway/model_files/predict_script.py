"""The file `predict.py` of an exported model. It stands alone, so it repeats what media/images.py and the engine do."""

PREDICT = '''"""Classify images like the server that exported this model: python predict.py IMAGE..."""

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
INPUT = SESSION.get_inputs()[0]
(HEIGHT, WIDTH), MODE = SPEC["size"], SPEC["mode"]


def pixels(file):
    """Return the image as uint8 (channels, height, width): upright, transparency black, at the model's size."""
    image = Image.open(file)
    image.draft(None, (2 * max(HEIGHT, WIDTH), 2 * max(HEIGHT, WIDTH)))  # a large JPEG is decoded at a reduced size
    if image.mode.startswith("I;16"):
        image = Image.fromarray(((np.asarray(image).astype(np.int64) * 255 + 32767) // 65535).astype(np.uint8))
    elif image.has_transparency_data:
        image = image.convert("RGBA").convert("RGBa")
    elif image.mode != MODE:
        image = image.convert(MODE)
    image = ImageOps.exif_transpose(image)
    if SPEC["resize"] == "stretch":
        image = image.resize((WIDTH, HEIGHT), Image.Resampling.BILINEAR)
    elif SPEC["resize"] == "crop":
        image = ImageOps.fit(image, (WIDTH, HEIGHT), Image.Resampling.BILINEAR)
    else:
        scale = min(WIDTH / image.width, HEIGHT / image.height)
        inner = max(1, round(image.width * scale)), max(1, round(image.height * scale))
        canvas = Image.new(image.mode, (WIDTH, HEIGHT))
        corner = (WIDTH - inner[0]) // 2, (HEIGHT - inner[1]) // 2
        canvas.paste(image.resize(inner, Image.Resampling.BILINEAR), corner)
        image = canvas
    if image.mode == "RGBa":
        image = Image.merge("RGB", image.split()[:3])
    return np.asarray(image.convert(MODE)).reshape(HEIGHT, WIDTH, -1).transpose(2, 0, 1)


def predict(file):
    """Return (label, score) for each class, best first."""
    images = pixels(file)[np.newaxis]
    if SPEC["dtype"] != "uint8":
        mean, std = (np.array(SPEC[name]).reshape(-1, 1, 1) for name in ("mean", "std"))
        factor = (SPEC["scale"] / (255 * std)).astype(np.float32)
        images = (images * factor + (-mean / std).astype(np.float32)).astype(SPEC["dtype"])
    if SPEC["layout"] != "NCHW":
        images = images[:, 0] if SPEC["layout"] == "NHW" else images.transpose(0, 2, 3, 1)
    rows = INPUT.shape[0] if isinstance(INPUT.shape[0], int) else 1  # some models take only batches of one size
    images = np.ascontiguousarray(np.repeat(images, rows, axis=0))
    output = SESSION.run(None, {INPUT.name: images})[0][0].reshape(-1).astype(np.float32)
    if SPEC["output"] == "probabilities":
        output = np.concatenate([1 - output, output]) if len(output) < len(LABELS) else output
        scores = np.maximum(output, np.finfo(np.float32).tiny)
    else:
        output = np.concatenate([[0], output]) if len(output) < len(LABELS) else output
        scores = np.exp(output - output.max())
    scores = scores / scores.sum()
    return [(LABELS[index], float(scores[index])) for index in np.argsort(-scores, kind="stable")]


if __name__ == "__main__":
    for name in sys.argv[1:]:
        print(name, *(f"{label}: {score:.1%}" for label, score in predict(name)[:3]), sep="\\t")
'''
