"""Reads the tensors of an untrusted safetensors file."""

from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from contract.errors import BadModel

HEADER_BYTES = 2**20  # the largest known network, lite2, has a header of 45 kB
_LENGTH = 8  # bytes, little-endian: the length of the JSON header
_PICKLES = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
_HDF5 = b"\x89HDF"
COUNTER = "num_batches_tracked"  # an integer of batch normalization


def is_safetensors(file: Path) -> bool:
    """Return whether a file is meant as safetensors, by its first bytes; raises BadModel for a pickle or HDF5."""
    with file.open("rb") as stream:
        start = stream.read(_LENGTH + 1)
    if start.startswith(_PICKLES):
        raise BadModel(
            "the file is a pickle, which can run code when it is opened; save the weights with "
            "safetensors.torch.save_file(model.state_dict(), file)"
        )
    if start.startswith(_HDF5):
        raise BadModel("the file is HDF5; export the network without its classifier as ONNX, for example with tf2onnx")
    return start[_LENGTH:] == b"{"


def read_tensors(file: Path) -> dict[str, Tensor]:
    """Return the tensors of a safetensors file, as float32; raises BadModel for a file that is malformed.

    Numbers that are not finite are refused. Counters of batches are left out.
    """
    size = file.stat().st_size
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(_LENGTH), "little")
    if length > size - _LENGTH:
        raise BadModel("the safetensors file is cut off; upload it again")
    if length > HEADER_BYTES:
        raise BadModel(f"the header of the safetensors file has {length} bytes; it can have at most {HEADER_BYTES}")
    tensors = {}
    try:
        with safe_open(file, framework="pt") as opened:
            for name in opened.keys():  # noqa: SIM118 -- it is no dict
                if not name.endswith(COUNTER):
                    tensors[name] = _checked(name, opened.get_tensor(name))
    except (SafetensorError, UnicodeDecodeError):
        raise BadModel("the file is not a valid safetensors file; save it again with safetensors") from None
    return tensors


def _checked(name: str, tensor: Tensor) -> Tensor:
    if not tensor.is_floating_point() or tensor.element_size() < 2:  # float8 needs a scale
        raise BadModel(f"the tensor {name[:80]!r} is {_dtype(tensor)}; weights must be float16, bfloat16 or float32")
    numbers = tensor.float()
    if not torch.isfinite(numbers).all():
        raise BadModel(f"the tensor {name[:80]!r} has numbers that are not finite; train the network again")
    return numbers


def _dtype(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
