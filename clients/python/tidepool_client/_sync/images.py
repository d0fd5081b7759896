"""Images in all of a project, by the SHA-256 of their bytes as uploaded."""

from contract.image_index import ImageHolding
from tidepool_client._sync.jobs import Job, Jobs
from tidepool_client._sync.transport import Transport
from tidepool_client.references import path
from tidepool_client.responses import parsed


class Images:
    """`client.images`; those of one dataset version are in `client.datasets.images`."""

    def __init__(self, http: Transport, jobs: Jobs) -> None:
        self._http = http
        self._jobs = jobs

    def get(self, sha256: str) -> ImageHolding:
        """Return the dataset versions, models, predictions and evaluations that hold an image.

        >>> [image] = [image for image in client.datasets.images("pets@2", split="train", label="cat")]
        >>> holding = client.images.get(image.sha256)
        >>> sorted(holding.versions)
        ['pets@1', 'pets@2']
        """
        return parsed(ImageHolding, self._http.call("GET", path("images", sha256)))

    def erase(self, sha256: str) -> Job:
        """Erase an image everywhere in the project; returns the job. Models are marked: weights do not forget."""
        return self._jobs.read(self._http.call("DELETE", path("images", sha256)))
