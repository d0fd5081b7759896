"""The Python client of Tidepool's REST API: `Client`, and `AsyncClient` for asyncio."""

from tidepool_client._async.client import AsyncClient
from tidepool_client._async.jobs import AsyncJob
from tidepool_client._sync.client import Client
from tidepool_client._sync.jobs import Job
from tidepool_client.errors import (
    ApiError,
    BadRequest,
    ClientError,
    Conflict,
    DeadlineExceeded,
    Forbidden,
    Invalid,
    InvalidInput,
    JobUnsuccessful,
    NotFound,
    QuotaExceeded,
    RequestTimeout,
    ServerError,
    TimedOut,
    TooLarge,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
    UnexpectedResponse,
    Unreachable,
    UnsupportedMedia,
    UntrustedCertificate,
    WaitTimeout,
)
from tidepool_client.folder import dataset_name
from tidepool_client.responses import ImagePrediction

__all__ = [
    "ApiError",
    "AsyncClient",
    "AsyncJob",
    "BadRequest",
    "Client",
    "ClientError",
    "Conflict",
    "DeadlineExceeded",
    "Forbidden",
    "ImagePrediction",
    "Invalid",
    "InvalidInput",
    "Job",
    "JobUnsuccessful",
    "NotFound",
    "QuotaExceeded",
    "RequestTimeout",
    "ServerError",
    "TimedOut",
    "TooLarge",
    "TooManyRequests",
    "Unauthenticated",
    "Unavailable",
    "UnexpectedResponse",
    "Unreachable",
    "UnsupportedMedia",
    "UntrustedCertificate",
    "WaitTimeout",
    "dataset_name",
]
