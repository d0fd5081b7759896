"""Datasets, images and their indexes."""

from contract.artifacts import ByteRange
from contract.base import Frozen
from contract.catalog import Dataset, DatasetVersion
from contract.choices import Choice
from contract.datasets import Counts, DatasetManifest, DatasetWarning, Rejected, Shard, Split, SplitSpec, Thumbnail
from contract.image_index import HeldImage, ImageDetails, ImageHolding, ImagePage, ImageRecord
from contract.images import ImageRequest, ImageSpec, Preprocessing
from contract.kinds.index import DatasetIndex
from contract.kinds.preprocess import LayoutSpec
from contract.references import Reference
from tests.examples.base import IMAGES_FILE, JOB_ID, LABELS, LABELS_FILE, WHEN

IMAGE = ImageSpec(size=(32, 32), mode="RGB", resize="crop")
PREPROCESSING = Preprocessing(image=IMAGE, mean=(0.5, 0.25, 0.125), std=(0.25, 0.25, 0.5))
SHARD = Shard(count=4, images=IMAGES_FILE, labels=LABELS_FILE)
COUNTS = Counts(train=4, val=0, test=2)
REJECTED = Rejected(file="cat/notes.txt", reason="is not an image")
THUMBNAIL = Thumbnail(label="cat", image="data:image/png;base64,iVBORw0KGgo=")
WARNING = DatasetWarning(
    code="duplicate_images",
    message="2 images have the same content",
    count=2,
    examples=("cat/1.jpg", "cat/2.jpg"),
    advice="remove the copies",
)
CHOICE = Choice(what="image.size", value=[32, 32], because="the images are 32 pixels wide")
IMAGE_RECORD = ImageRecord(
    sha256="f" * 64,
    path="train/cat/1.jpg",
    split=Split.TRAIN,
    label="cat",
    width=640,
    height=480,
    shard=0,
    row=3,
    average_hash="ff00ff00ff00ff00",
    difference_hash="0f0f0f0f0f0f0f0f",
)
DATASET_MANIFEST = DatasetManifest(
    classes=LABELS,
    image=IMAGE,
    mean=PREPROCESSING.mean,
    std=PREPROCESSING.std,
    counts=COUNTS,
    counts_by_class={Split.TRAIN: {"cat": 2, "dog": 2}, Split.VAL: {}, Split.TEST: {"cat": 1, "dog": 1}},
    shards={Split.TRAIN: (SHARD,), Split.VAL: (), Split.TEST: ()},
    rejected=1,
    rejected_files=(REJECTED,),
    thumbnails=(THUMBNAIL,),
    warnings=(WARNING,),
    decisions=(CHOICE,),
    data_sha256="9" * 64,
)
HELD_IMAGE = HeldImage(dataset="pets@1", **dict(IMAGE_RECORD))
IMAGE_REQUEST = ImageRequest(size=(32, 32), mode="RGB")
DATASET_REFERENCE = Reference(name="pets", version=1)

EXAMPLES: tuple[Frozen, ...] = (
    Dataset(name="pets", versions=(2, 1), created_at=WHEN),
    DatasetVersion(
        name="pets",
        version=1,
        job=JOB_ID,
        created_at=WHEN,
        shape=IMAGE.shape,
        **{
            field: getattr(DATASET_MANIFEST, field)
            for field in DatasetManifest.model_fields
            if field not in ("shards", "index", "moments", "originals")
        },
    ),
    SplitSpec(train=0.5, val=0.25, test=0.25, seed=7),
    REJECTED,
    THUMBNAIL,
    SHARD,
    COUNTS,
    DATASET_MANIFEST,
    WARNING,
    CHOICE,
    IMAGE_RECORD,
    ImagePage(items=(IMAGE_RECORD,), next=None),
    ImageDetails(
        sha256=IMAGE_RECORD.sha256,
        occurrences=(IMAGE_RECORD,),
        versions=("pets@1",),
        models=("pet-cnn@1",),
        jobs=(JOB_ID,),
    ),
    HELD_IMAGE,
    ImageHolding(
        sha256=IMAGE_RECORD.sha256,
        occurrences=(HELD_IMAGE,),
        versions=("pets@1",),
        models=("pet-cnn@1",),
        predictions=(JOB_ID,),
        evaluations=(JOB_ID,),
        erasing=JOB_ID,
        not_searched=("birds@1",),
    ),
    IMAGE,
    IMAGE_REQUEST,
    LayoutSpec(class_level="leaf", encoding="big5", path_column="image_id", label_column="dx"),
    PREPROCESSING,
    DatasetIndex(index=IMAGES_FILE, data_sha256="a" * 64, indexed=5, missing=1, warnings=(WARNING,)),
    ByteRange(start=3, stop=8, sha256="f" * 64),
)
