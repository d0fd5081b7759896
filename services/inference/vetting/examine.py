"""The process that looks at a model: confined first, it reads, judges and tries the file, and writes its verdict."""

import sys
from pathlib import Path

from contract.errors import BadModel
from services.inference.vetting.confinement import confine
from services.inference.vetting.findings import Findings, Order, Verdict
from services.inference.vetting.static import check, parsed, put_card
from services.inference.vetting.trial import Trial


def main(order_file: Path, verdict_file: Path) -> None:
    """Carry out the order in one file and write the verdict into the other."""
    order = Order.model_validate_json(order_file.read_text())
    if not confine(order.memory_bytes, order.cpu_s, file_bytes=2**31):
        print("the network could not be cut", file=sys.stderr)
    try:
        verdict = Verdict(findings=_found(order))
    except BadModel as error:
        verdict = Verdict(refused=error.message)
    except MemoryError:
        verdict = Verdict(refused=f"the model needs more than the {order.memory_bytes >> 20} MiB that it may use")
    verdict_file.write_text(verdict.model_dump_json())


def _found(order: Order) -> Findings:
    model = parsed(order.file.read_bytes())
    contents = check(model)
    if order.card is not None:
        put_card(model, order.card)
        order.file.write_bytes(model.SerializeToString(deterministic=True))
        contents = contents.model_copy(update={"card": order.card})
    del model  # it may be as large as all that follows
    return Findings(contents=contents, behaviour=Trial(order.file, order.max_batch).behaviour())


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
