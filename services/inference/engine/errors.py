"""The only place that lists what ONNX Runtime raises; its errors share no base class."""

from services.inference.engine.onnx_runtime import ort_state

ORT_ERRORS: tuple[type[Exception], ...] = (
    ort_state.EPFail,
    ort_state.EngineError,
    ort_state.Fail,
    ort_state.InvalidArgument,
    ort_state.InvalidGraph,
    ort_state.InvalidProtobuf,
    ort_state.ModelRequiresCompilation,
    ort_state.NoModel,
    ort_state.NoSuchFile,
    ort_state.NotFound,
    ort_state.NotImplemented,
    ort_state.RuntimeException,
    RuntimeError,
    ValueError,
)

# Of the device or the build; what else fails while a loaded graph runs is due to what it was fed.
FAULTS_OF_OURS: tuple[type[Exception], ...] = (ort_state.EPFail, ort_state.EngineError, ort_state.NotImplemented)
