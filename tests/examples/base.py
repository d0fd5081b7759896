"""Ids, times, uploads and files of the examples, and references."""

from datetime import UTC, datetime

from contract.artifacts import Bucket, ObjectRef
from contract.base import Frozen
from contract.catalog import Upload
from contract.references import Reference, S3Source

WHEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
JOB_ID = "019b7c2a-3d48-7000-8000-000000000001"
UPLOAD_ID = "019b7c2a-3d48-7000-8000-000000000002"
LABELS = ("cat", "dog")
UPLOAD = Upload(id=UPLOAD_ID, filename="pets.zip", size=4096, sha256="a" * 64, complete=True, created_at=WHEN)
IMAGES_FILE = ObjectRef(bucket=Bucket.JOBS, key=f"{JOB_ID}/attempts/1/train-0.npy", size=12416, sha256="b" * 64)
LABELS_FILE = ObjectRef(bucket=Bucket.JOBS, key=f"{JOB_ID}/attempts/1/train-0-labels.npy", size=160, sha256="c" * 64)
ONNX_FILE = ObjectRef(bucket=Bucket.JOBS, key=f"{JOB_ID}/attempts/1/model.onnx", size=2048, sha256="d" * 64)
ROWS_FILE = ObjectRef(bucket=Bucket.JOBS, key=f"{JOB_ID}/attempts/1/predictions.csv", size=64, sha256="e" * 64)
COUNTED = {"waiting": 6, "running": 2}

EXAMPLES: tuple[Frozen, ...] = (
    ONNX_FILE,
    UPLOAD,
    Reference(name="pet-cnn", alias="production"),
    S3Source(s3="s3://photos/pets"),
)
