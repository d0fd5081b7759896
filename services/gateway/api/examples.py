"""The example requests in the OpenAPI document."""

from typing import cast

from fastapi.openapi.models import Example

from contract.kinds.registry import all_kinds

JOB_REQUESTS: dict[str, Example] = {
    name: cast(Example, example) for kind in all_kinds() for name, example in kind.examples.items()
}

POOL_REQUESTS: dict[str, Example] = {
    "manual": {"summary": "Three replicas, whatever the load", "value": {"mode": "manual", "replicas": 3}},
    "auto": {
        "summary": "Follow the load, and scale to zero after a minute without any",
        "value": {"mode": "auto", "min": 0, "max": 8, "idle_s": 60, "backlog_per_replica": 4},
    },
}
