"""The named tensors of an ONNX file: as much of the format as it takes to find them. Pure.

ONNX is a Protocol Buffer (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto): a model holds a graph, a
graph nodes and initial tensors, a node attributes, and an attribute a tensor or, in branches, a graph again.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

__all__ = ["named_tensors"]

_MODEL_GRAPH, _GRAPH_NODE, _GRAPH_INITIALIZER, _NODE_ATTRIBUTE = 7, 1, 5, 5
_ATTRIBUTE_TENSOR, _ATTRIBUTE_GRAPH = 5, 6
_TENSOR_DIMS, _TENSOR_TYPE, _TENSOR_NAME, _TENSOR_RAW = 1, 2, 8, 9
_FLOAT = 1
"""``TensorProto.DataType``."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
"""Wire types of Protocol Buffers."""


def named_tensors(model: bytes) -> Iterator[tuple[str, npt.NDArray[np.float32]]]:
    """Float tensors with a name and raw data, in the order of the file, those of branches included.

    Raises:
        ValueError: this is no such file, or it was cut off.
    """
    for number, value in _fields(memoryview(model)):
        if number == _MODEL_GRAPH:
            yield from _of_graph(_bytes(value))


def _of_graph(graph: memoryview) -> Iterator[tuple[str, npt.NDArray[np.float32]]]:
    for number, value in _fields(graph):
        if number == _GRAPH_INITIALIZER:
            yield from _tensor(_bytes(value))
        elif number == _GRAPH_NODE:
            for part, attribute in _fields(_bytes(value)):
                if part == _NODE_ATTRIBUTE:
                    yield from _of_attribute(_bytes(attribute))


def _of_attribute(attribute: memoryview) -> Iterator[tuple[str, npt.NDArray[np.float32]]]:
    for number, value in _fields(attribute):
        if number == _ATTRIBUTE_TENSOR:
            yield from _tensor(_bytes(value))
        elif number == _ATTRIBUTE_GRAPH:
            yield from _of_graph(_bytes(value))


def _tensor(tensor: memoryview) -> Iterator[tuple[str, npt.NDArray[np.float32]]]:
    name, kind, dims, raw = "", 0, list[int](), memoryview(b"")
    for number, value in _fields(tensor):
        if number == _TENSOR_DIMS:
            dims += [value] if isinstance(value, int) else _varints(value)
        elif number == _TENSOR_TYPE:
            kind = value if isinstance(value, int) else 0
        elif number == _TENSOR_NAME:
            name = bytes(_bytes(value)).decode(errors="replace")
        elif number == _TENSOR_RAW:
            raw = _bytes(value)
    if name and kind == _FLOAT and len(raw) == 4 * math.prod(dims) > 0:
        yield name, np.frombuffer(raw, "<f4").reshape(dims).astype(np.float32)


# ── Protocol Buffers ──


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        kind = key & 7
        if kind == _VARINT:
            value, at = _varint(message, at)
            yield key >> 3, value
            continue
        if kind == _BYTES:
            size, at = _varint(message, at)
        elif kind in (_FIXED32, _FIXED64):
            size = 4 if kind == _FIXED32 else 8
        else:
            raise ValueError("this is no ONNX file")
        if at + size > len(message):
            raise ValueError("the ONNX file was cut off")
        yield key >> 3, message[at : at + size]
        at += size


def _bytes(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise ValueError("this is no ONNX file")
    return value


def _varints(packed: memoryview) -> list[int]:
    found, at = [], 0
    while at < len(packed):
        value, at = _varint(packed, at)
        found.append(value)
    return found


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(message):
            raise ValueError("the ONNX file was cut off")
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("this is no ONNX file")
