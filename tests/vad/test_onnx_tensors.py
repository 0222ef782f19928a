"""Tensors are found by name, and whatever else a file may be is no tensor and no surprise."""

from __future__ import annotations

import contextlib
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtc_stt.vad.onnx_tensors import named_tensors


def field(number: int, value: bytes | int) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def varint(value: int) -> bytes:
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def tensor(name: str, values: list[float], *, dims: list[int] | None = None, kind: int = 1) -> bytes:
    data = b"".join(field(1, d) for d in (dims or [len(values)])) + field(2, kind)
    return data + field(8, name.encode()) + field(9, struct.pack(f"<{len(values)}f", *values))


def node(attribute: bytes) -> bytes:
    return field(1, field(4, b"Constant") + field(5, field(1, b"value") + attribute))


def test_tensors_are_found_in_initializers_constants_and_branches():
    branch = node(field(5, tensor("inner", [1, 2, 3, 4], dims=[2, 2])))
    graph = field(5, tensor("first", [0.5])) + node(field(5, tensor("second", [7.0])))
    graph += field(1, field(5, field(6, branch)))
    found = dict(named_tensors(field(1, 8) + field(7, graph)))
    assert {name: values.tolist() for name, values in found.items()} == {
        "first": [0.5],
        "second": [7.0],
        "inner": [[1, 2], [3, 4]],
    }
    assert all(values.dtype == np.float32 and values.flags.writeable for values in found.values())


def test_dimensions_may_be_packed():
    packed = field(1, varint(2) + varint(3)) + field(2, 1) + field(8, b"x") + field(9, bytes(24))
    [(name, values)] = named_tensors(field(7, field(5, packed)))
    assert (name, values.shape) == ("x", (2, 3))


@pytest.mark.parametrize(
    "made",
    [tensor("", [1.0]), tensor("x", [1.0], kind=7), tensor("x", [1.0], dims=[2]), tensor("x", [], dims=[0])],
    ids=["without a name", "of integers", "too short", "empty"],
)
def test_what_is_no_tensor_of_floats_is_left_out(made):
    assert list(named_tensors(field(7, field(5, made)))) == []


@pytest.mark.parametrize(
    "made", [b"\x0b", b"\x3a\x7f", b"\x3a", field(7, 5), b"\xff" * 11, field(7, field(5, b"\x0a\x01\xff"))]
)
def test_what_is_no_model_is_an_error(made):
    with pytest.raises(ValueError, match="ONNX"):
        list(named_tensors(made))


@given(st.binary(max_size=200))
def test_any_bytes_are_tensors_or_an_error(data):
    with contextlib.suppress(ValueError):
        assert all(name and values.size for name, values in named_tensors(data))
