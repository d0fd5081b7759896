"""A tensor (2, 2) of every data type of the protocol, with the extremes of the type."""

import ml_dtypes
import numpy as np

from contract.datatypes import DATATYPES

_OTHERS = {
    "BOOL": np.array([[True, False], [False, True]]),
    "BF16": np.array([[1.5, -2.0], [0.0, 3e38]], ml_dtypes.bfloat16),
    "BYTES": np.array([[b"", "grün".encode()], [b"a\x00b", b"long" * 100]], object),
}


def _of(dtype: str) -> np.ndarray:
    limits = np.iinfo(dtype) if np.dtype(dtype).kind in "iu" else np.finfo(dtype)
    return np.array([[limits.min, limits.max], [0, 1]], dtype)


VALUES: dict[str, np.ndarray] = {
    name: _OTHERS[name] if name in _OTHERS else _of(datatype.numpy) for name, datatype in DATATYPES.items()
}
