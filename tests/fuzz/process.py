"""The process of one fuzzer: libFuzzer's arguments after the name of the target; see `__main__`."""

import sys

import atheris

with atheris.instrument_imports(include=["media", "services", "contract"], enable_loader_override=False):
    from tests.fuzz import targets


def main() -> None:
    """Run libFuzzer, which is guided by the coverage of our Python code, and ends the process."""
    program, name, *arguments = sys.argv
    target = targets.TARGETS[name]

    def once(data: bytes) -> None:
        targets.run(target, data)

    atheris.Setup([program, *arguments], once)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
