"""Columns of feature vectors in the Python workers: lists of floats, or the bytes of float32."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_FLOAT_BYTES = pa.scalar(4, pa.int32())


def packed(rows):
    """The vectors as their bytes."""
    offsets = pc.multiply(rows.offsets, _FLOAT_BYTES)
    buffers = [None, offsets.buffers()[1], rows.values.buffers()[1]]
    return pc.if_else(rows.is_valid(), pa.Array.from_buffers(pa.binary(), len(rows), buffers), None)


def lists(vectors):
    """The vectors as lists, whichever way they came."""
    if pa.types.is_large_binary(vectors.type):  # spark.sql.execution.arrow.useLargeVarTypes
        vectors = vectors.cast(pa.binary())
    if not pa.types.is_binary(vectors.type):
        return vectors
    if pc.any(pc.not_equal(pc.bit_wise_and(pc.binary_length(vectors), 3), 0)).as_py():
        raise ValueError("binary vectors hold float32: their lengths are multiples of 4 bytes")
    _, offsets, values = vectors.buffers()
    offsets = pa.Array.from_buffers(
        pa.int32(), len(vectors) + 1, [None, offsets], offset=vectors.offset
    )
    values = pa.Array.from_buffers(
        pa.float32(), values.size // _FLOAT_BYTES.as_py(), [None, values]
    )
    return pa.ListArray.from_arrays(pc.divide(offsets, _FLOAT_BYTES), values)


def matrix(vectors, width=None):
    """The vectors, one at least, as rows of float32; `width`: the numbers that each has to have."""
    rows = lists(vectors)
    lengths = pc.list_value_length(rows).to_numpy()
    if (lengths != (width or lengths[0])).any():
        raise ValueError("the vectors differ in length")
    if lengths[0] == 0:
        raise ValueError("the vectors hold no numbers")
    with np.errstate(over="ignore"):  # what lies beyond float32 becomes an infinity
        values = rows.flatten().to_numpy(zero_copy_only=False).astype(np.float32, copy=False)
    return values.reshape(len(rows), lengths[0])


def packed_rows(matrix):
    """The rows of a matrix of float32 as their bytes."""
    count, width = matrix.shape
    offsets = np.arange(count + 1, dtype=np.int32) * np.int32(width)
    return packed(pa.ListArray.from_arrays(offsets, matrix.ravel()))
