"""An uploaded archive as a job's source."""

from typing import Annotated

from pydantic import Field

from contract.base import Frozen


class UploadSource(Frozen):
    upload: Annotated[str, Field(min_length=1, max_length=64)]
