"""The process that examines an uploaded model: it confines itself, checks and runs the file, and writes a verdict."""

import sys
from pathlib import Path

from contract.errors import BadModel
from services.inference.vetting.confinement import confine
from services.inference.vetting.findings import ExaminerRequest, Findings, Verdict
from services.inference.vetting.static import check, parse, put_card
from services.inference.vetting.trial import Trial


def main(request_file: Path, verdict_file: Path) -> None:
    """Examine the model that one file requests and write the verdict to the other."""
    request = ExaminerRequest.model_validate_json(request_file.read_text())
    if not confine(request.memory_bytes, request.cpu_s, file_bytes=2**31):
        print("warning: the network could not be cut", file=sys.stderr)
    try:
        verdict = Verdict(findings=_findings(request))
    except BadModel as error:
        verdict = Verdict(rejection=error.message)
    except MemoryError:
        verdict = Verdict(rejection=f"the model needs more than {request.memory_bytes >> 20} MiB of memory, the limit")
    verdict_file.write_text(verdict.model_dump_json())


def _findings(request: ExaminerRequest) -> Findings:
    model = parse(request.file.read_bytes())
    contents = check(model)
    if request.card is not None:
        put_card(model, request.card)
        request.file.write_bytes(model.SerializeToString(deterministic=True))
        contents = contents.model_copy(update={"card": request.card})
    del model  # it may be as large as everything that follows
    return Findings(contents=contents, behaviour=Trial(request.file, request.max_batch).behaviour())


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
