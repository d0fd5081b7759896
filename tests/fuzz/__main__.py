"""Fuzz what strangers send: images, archives, tables of labels, tensors, ONNX graphs."""

import argparse
import hashlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path

from tests.fuzz import targets

CORPUS = Path(__file__).parent / "corpus"
LIMITS = ("-max_len=16384", "-timeout=20", "-rss_limit_mb=4096")  # bytes of an input, seconds and MiB of a run


def main() -> int:
    """Fuzz each target for some seconds; return 1 if one had a find, whose input is saved and named.

    Starts from the seeds and the corpus, `corpus/TARGET.zip`. Inputs that reach other code go to FOLDER/TARGET/new;
    `--keep` adds them to the corpus.
    """
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"{', '.join(targets.TARGETS)}; default all")
    parser.add_argument("--seconds", type=int, default=600, help="of each target; default 600")
    parser.add_argument("--folder", type=Path, default=Path("build/fuzz"), help="default build/fuzz")
    parser.add_argument("--keep", action="store_true", help="update the corpus at the end")
    options = parser.parse_args()
    names = options.targets or list(targets.TARGETS)
    if unknown := set(names) - targets.TARGETS.keys():
        parser.error(f"there is no target {', '.join(sorted(unknown))}")
    limit = f"-max_total_time={options.seconds}"
    finds = [name for name in names if not fuzz(name, options.folder / name, limit)]
    for name in names if options.keep else ():
        keep(name, options.folder / name)
    for name in finds:
        print(f"{name}: the input of the find is in {options.folder / name / 'finds'}", file=sys.stderr)
    return 1 if finds else 0


def fuzz(target: str, folder: Path, *limits: str) -> bool:
    """Fuzz a target within limits such as `-runs=1000`; return whether there was no find."""
    new, start, finds = (folder / name for name in ("new", "start", "finds"))
    for part in (new, start, finds):
        part.mkdir(parents=True, exist_ok=True)
    for seed in targets.seeds(target):
        (start / hashlib.sha256(seed).hexdigest()[:16]).write_bytes(seed)
    if (corpus := CORPUS / f"{target}.zip").exists():
        with zipfile.ZipFile(corpus) as opened:
            opened.extractall(start)
    prefix = f"-artifact_prefix={finds}{os.sep}"
    return _process(target, *limits, prefix, "-print_final_stats=1", str(new), str(start)) == 0


def keep(target: str, folder: Path) -> None:
    """Add the inputs that reached other code to the corpus."""
    inputs = {file.name: file for part in ("start", "new") for file in (folder / part).iterdir()}
    CORPUS.mkdir(exist_ok=True)
    with zipfile.ZipFile(CORPUS / f"{target}.zip", "w") as made:
        for name, file in sorted(inputs.items()):
            made.writestr(zipfile.ZipInfo(name), file.read_bytes(), zipfile.ZIP_DEFLATED)


def _process(target: str, *arguments: str) -> int:
    command = [sys.executable, "-m", "tests.fuzz.process", target, *LIMITS, *arguments]
    return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
