"""Files as Label Studio exports them, by its documentation: https://labelstud.io/guide/export.

`annotated` is the JSON format, `completed` that of releases before 1.0, `min_rows` JSON_MIN; choices are those of
https://labelstud.io/tags/choices.
"""

from typing import Any

TIME = "2021-03-09T22:16:08.728353Z"


def choices(*labels: str, name: str = "choice") -> dict[str, Any]:
    """Return a result of a `Choices` tag."""
    value = {"choices": list(labels)}
    return {"value": value, "id": "Dx_aB91ISN", "from_name": name, "to_name": "image", "type": "choices"}


def annotation(*results: dict[str, Any], updated: str = TIME, **fields: Any) -> dict[str, Any]:
    return {
        "id": 1001,
        "completed_by": 10,
        "result": list(results),
        "was_cancelled": False,
        "ground_truth": False,
        "created_at": TIME,
        "updated_at": updated,
        "lead_time": 4.288,
        "prediction": {},
        "result_count": 0,
        "task": 1,
    } | fields


def annotated(image: str, *annotations: dict[str, Any], **data: str) -> dict[str, Any]:
    """Return a task with annotations, and with a prediction that must not count."""
    prediction = {"model_version": "model 1", "score": 0.9, "created_ago": "3 hours", "result": [choices("wrong")]}
    return {
        "id": 1,
        "annotations": list(annotations),
        "file_upload": image.rpartition("/")[2],
        "drafts": [],
        "predictions": [prediction],
        "data": {"image": image} | data,
        "meta": {},
        "created_at": TIME,
        "updated_at": TIME,
        "project": 83,
    }


def completed(image: str, label: str) -> dict[str, Any]:
    """Return a task of a release before 1.0."""
    completion = {"id": 1001, "lead_time": 15.053, "result": [choices(label)]}
    return {"completions": [completion], "data": {"image": image}, "id": 1, "predictions": []}


def min_row(image: str, label: Any) -> dict[str, Any]:
    """Return a task in JSON_MIN; `label` is a text, or `{"choices": […]}` for several."""
    meta = {"annotator": 10, "annotation_id": 1001, "created_at": TIME, "updated_at": TIME, "lead_time": 4.288}
    return {"image": image, "id": 1, "choice": label} | meta
