"""The errors of the object store's SDK, as those of `contract.errors`."""

from collections.abc import Iterator
from contextlib import contextmanager

import urllib3
from minio.error import InvalidResponseError, MinioException, S3Error

from contract.errors import Corrupt, NotFound, ObjectsUnavailable

NOT_AS_WRITTEN = "an object read from the object store is not what was written"


@contextmanager
def mapped_errors() -> Iterator[None]:
    """Map the errors of the SDK to those of `contract.errors`."""
    try:
        yield
    except S3Error as error:
        if error.code in {"NoSuchKey", "NoSuchObject", "NoSuchUpload"}:
            raise NotFound("the object store has no such object") from error
        if error.code == "InvalidRange":
            raise Corrupt(NOT_AS_WRITTEN) from error
        raise ObjectsUnavailable("the object store refused the request") from error
    except (MinioException, urllib3.exceptions.HTTPError, OSError) as error:
        if isinstance(error, InvalidResponseError) and "NoSuchUpload" in str(error):  # of rclone, as text/xml
            raise NotFound("the object store has no such upload") from error
        raise ObjectsUnavailable("the object store does not answer; try again soon") from error
