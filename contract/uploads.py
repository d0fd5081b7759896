"""An uploaded file as the source of a job."""

from contract.base import Frozen
from contract.references import UploadId


class UploadSource(Frozen):
    upload: UploadId
