"""The example requests in the OpenAPI document."""

from fastapi.openapi.models import Example

JOB_REQUESTS: dict[str, Example] = {
    "train": {
        "summary": "Train the default network",
        "value": {"kind": "train", "spec": {"dataset": "cifar10@1", "model": "cifar-cnn"}},
    },
    "layers": {
        "summary": "Train a network of your own layers",
        "value": {
            "kind": "train",
            "spec": {
                "dataset": "cifar10",
                "model": "mine",
                "architecture": {
                    "layers": [{"conv": 32, "kernel": 3}, {"relu": {}}, {"maxpool": 2}, {"flatten": {}}, {"dense": 64}]
                },
                "epochs": 5,
                "optimizer": {"name": "adam", "lr": 0.001},
            },
        },
    },
    "predict": {
        "summary": "Classify every image of a split",
        "value": {
            "kind": "predict",
            "spec": {
                "model": "cifar-cnn@production",
                "input": {"dataset": "cifar10@1", "split": "test"},
                "top_k": 3,
                "format": "parquet",
            },
        },
    },
    "vet": {
        "summary": "Vet an ONNX model that was uploaded by a presigned URL",
        "value": {
            "kind": "vet",
            "spec": {"model": "mine", "source": {"upload": "01a20c69-671c-75b4-9e31-a6c00b050a58"}},
        },
    },
    "preprocess": {
        "summary": "Prepare an archive that was uploaded by a presigned URL",
        "value": {
            "kind": "preprocess",
            "spec": {
                "dataset": "cifar10",
                "source": {"upload": "01a20c69-671c-75b4-9e31-a6c00b050a58"},
                "image": {"size": [32, 32], "mode": "RGB", "resize": "crop"},
            },
        },
    },
}

POOL_REQUESTS: dict[str, Example] = {
    "manual": {"summary": "Three replicas, whatever the load", "value": {"mode": "manual", "replicas": 3}},
    "auto": {
        "summary": "Follow the load, and scale to zero after a minute without any",
        "value": {"mode": "auto", "min": 0, "max": 8, "idle_s": 60, "backlog_per_replica": 4},
    },
}
