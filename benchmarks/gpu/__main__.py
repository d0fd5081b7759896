"""`make gpu-check`: what a GPU does for serving and training, in under eight minutes; see docs/doctor.md."""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pynvml

from benchmarks.gpu.card import Card, Sampler, card_of
from benchmarks.gpu.plan import LIMIT_S, Result, run_all, steps
from benchmarks.gpu.report import NO_GPU, write

NO_CARD, FAILED = 3, 1  # exit statuses


def main(arguments: Sequence[str] | None = None) -> int:
    """Run every step that fits into the time; return the exit status."""
    options = _parser().parse_args(arguments)
    card = card_of(pynvml)
    options.out.mkdir(parents=True, exist_ok=True)
    if card is None and not options.rehearse:
        write(None, [], options.out)
        print(f"{NO_GPU} The report is in {options.out}.")
        return NO_CARD if options.require else 0
    results = _measure(options, card)
    failed = [result.step for result in results if result.error is not None]
    print(f"The report is in {options.out}." + (f" Failed: {', '.join(failed)}." if failed else ""))
    return FAILED if failed else 0


def _measure(options: argparse.Namespace, card: Card | None) -> list[Result]:
    results = []
    with tempfile.TemporaryDirectory() as folder, Sampler(pynvml, card) as sampler:
        for result in run_all(steps(options.data, options.rehearse), Path(folder), sampler, options.seconds):
            print(f"{result.step}: {result.error or 'done'} ({result.seconds:.0f} s)", flush=True)
            results.append(result)
            write(card, results, options.out, rehearsal=options.rehearse)  # should the machine be taken away
    return results


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("build/gpu"), metavar="FOLDER", help="folder of the report")
    parser.add_argument("--data", type=Path, metavar="CIFAR10.zip", help="CIFAR-10 with folders train/… and test/…")
    parser.add_argument("--require", action="store_true", help=f"exit with {NO_CARD} if there is no GPU")
    parser.add_argument("--seconds", type=float, default=LIMIT_S, help="limit of all steps together")
    parser.add_argument(
        "--rehearse", action="store_true", help="run every step with small models on the processor, to try the script"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
