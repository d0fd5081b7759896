"""A job and its lease."""

import pytest

from contract.jobs import Job
from services.storage.jobs.jobs import Jobs
from services.storage.jobs.leases import Leases
from services.storage.jobs.rows import Lease
from tests.examples import PREPROCESS_REQUEST
from tests.integration.storage.steps import claimed


@pytest.fixture
def job(jobs: Jobs) -> Job:
    return jobs.create(PREPROCESS_REQUEST)


@pytest.fixture
def lease(leases: Leases, job: Job) -> Lease:
    return claimed(leases).lease
