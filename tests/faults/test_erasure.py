"""An erasure that is killed at any call leaves everything as it was, or everything without the image."""

from pathlib import Path
from signal import SIGKILL

from contract.access import DEFAULT_PROJECT
from contract.jobs import JobKind, JobState
from contract.kinds.erase import EraseRequest, EraseSpec
from contract.references import Reference
from services.preprocess.erasing import erase
from services.preprocess.worker import preprocess
from tests.faults.cluster import Replica
from tests.faults.driver import Driver, ended
from tests.faults.injector import How
from tests.faults.nemesis import age_leases
from tests.faults.process import RestartedProcess, signal_all
from tests.faults.start import cluster
from tests.faults.world import LEASE_S, World
from tests.support.erasures import archived, collect, preprocess_request, rows_of, sha256_of, traces, upload
from tests.support.images import class_folders

FILES = class_folders(count=3)
PREPROCESS = Replica("preprocess", ("services.preprocess.main",))
IMAGE = FILES["cat/001.png"]


def test_an_erasure_that_is_killed_at_any_call_is_done_or_not_begun(tmp_path: Path) -> None:
    states: list[bool] = []
    while True:
        # given an image in a version, and a job that erases it
        world = World.fresh()
        source = upload(world.stores, archived(tmp_path, FILES))
        world.run(preprocess_request(source), preprocess, tmp_path)
        world.stores.of(DEFAULT_PROJECT).jobs.create(
            EraseRequest(kind="erase", spec=EraseSpec(sha256=sha256_of(IMAGE)))
        )

        # when its attempt is killed at the next call, and its lease ends
        world.injector.count, world.injector.number, world.injector.how = 0, len(states) + 1, How.DIED
        with world.injector.arm():
            world.attempt(JobKind.ERASE, erase, tmp_path)
        world.clock.tick(LEASE_S)
        collect(world.stores)

        # then the image is everywhere or nowhere, and everything else can be read
        store = world.stores.of(DEFAULT_PROJECT)
        manifest = store.datasets.manifest(Reference.parse("pets@1"))[1]
        erased = manifest.erased == 1
        assert rows_of(world.stores.objects, manifest) == len(FILES) - erased
        assert world.stores.objects.read(store.uploads.ref(source))
        assert bool(traces(world.stores.objects, IMAGE)) is not erased
        if world.injector.count < world.injector.number:
            break
        states.append(erased)
    assert states[0] is False
    assert erased


def test_an_erasure_whose_worker_is_killed_is_finished_by_the_next_one(tmp_path: Path) -> None:
    with cluster("sqlite", (PREPROCESS,)) as target:
        driver = Driver(target)
        driver.wait_until_it_answers()
        objects = target.stores.objects
        # given an image in a version, prepared by the real service
        files = class_folders(count=100)
        image = files["cat/023.png"]
        spec = {"dataset": "pets", "source": {"upload": upload(target.stores, archived(tmp_path, files))}}
        assert driver.until(driver.post("/v1/jobs", json={"kind": "preprocess", "spec": spec}), ended).result

        # when the attempt of its erasure is killed, and then the whole worker
        job = driver.post("/v1/jobs", json={"kind": "erase", "spec": {"sha256": sha256_of(image)}})
        for kill in (lambda worker: signal_all(worker.attempts(), SIGKILL), RestartedProcess.kill):
            driver.wait(lambda: any(worker.attempts() for worker in target.workers) or driver.job(job).state.terminal)
            for worker in target.workers:
                kill(worker)
            manifest = target.stores.of(DEFAULT_PROJECT).datasets.manifest(Reference.parse("pets@1"))[1]
            assert rows_of(objects, manifest) == len(files) - manifest.erased
            age_leases(target, living=False)
        job = driver.until(job, ended)

        # then it succeeds, and the collector leaves nothing of the image
        assert job.state == JobState.SUCCEEDED, job.error
        manifest = target.stores.of(DEFAULT_PROJECT).datasets.manifest(Reference.parse("pets@1"))[1]
        assert rows_of(objects, manifest) == len(files) - 1
        driver.wait(lambda: not traces(objects, image))
        driver.close()
