"""What users hand over -> what the library takes: Arrow arrays, matrices, lists of images."""

from __future__ import annotations

import os
import sys
from typing import Any

import numpy
import pyarrow as pa
import pyarrow.compute as pc


def images(data: Any) -> Any:
    """Several images: an Arrow array of binary or string, or a list of single ones."""
    _check_several(data, "images")
    if getattr(data, "ndim", None) == 3:
        raise TypeError("images: several are expected; put the pixels of a single one into a list")
    array = arrow(data, "images")
    return [_pixels(image) for image in data] if array is None else array


def names(data: Any) -> Any:
    """The names of images: an Arrow array of string, or a sequence."""
    array = None if data is None else arrow(data, "paths")
    return data if array is None else array


def vectors(data: Any, name: str = "rows") -> Any:
    """Rows of features: an Arrow array of lists of floats, or a matrix."""
    array = arrow(data, name)
    return floats(_matrix(data, name)) if array is None else _lists(array)


def floats(rows: Any) -> Any:
    """float64 in float32. The core refuses what lies beyond it: numpy need not warn as well."""
    if not isinstance(rows, numpy.ndarray) or rows.dtype.kind != "f":
        return rows
    with numpy.errstate(over="ignore"):
        return numpy.ascontiguousarray(rows, dtype=numpy.float32)


def several(data: Any, name: str) -> list[Any]:
    """What can be gone through, in a list."""
    _check_several(data, name)
    if not hasattr(data, "__iter__"):
        raise TypeError(f"{name}: vectors or pictures are expected, not {type(data).__name__}")
    return list(data)


def _check_several(data: Any, name: str) -> None:
    if isinstance(data, (str, bytes, bytearray, memoryview, os.PathLike)) or is_pillow(data):
        raise TypeError(f"{name}: several are expected; put a single one into a list")


def is_pillow(data: Any) -> bool:
    pillow = sys.modules.get("PIL.Image")  # who has not imported it has no image of it
    return pillow is not None and isinstance(data, pillow.Image)


def _pixels(image: Any) -> Any:
    if not is_pillow(image):
        return image
    if 0 in image.size:
        return b""
    try:
        return numpy.asarray(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError):  # opened, but its file is damaged: ours to judge
        return getattr(image, "filename", "") or _file_of(image)


def _file_of(image: Any) -> bytes:
    """The bytes that an image was opened from, if they are still there."""
    try:
        image.fp.seek(0)
        return image.fp.read()
    except (AttributeError, OSError, ValueError):
        return b""


def arrow(data: Any, name: str) -> pa.Array | pa.ChunkedArray | None:
    """The array that `data` offers by the protocols of Arrow, in one of the plain layouts."""
    try:
        if hasattr(data, "__arrow_c_array__"):
            array = pa.array(data)
        elif hasattr(data, "__arrow_c_stream__"):
            array = pa.chunked_array(data)
        else:
            return None
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
        return None  # a pandas Series of any objects offers what it cannot give
    kind = array.type
    if pa.types.is_struct(kind):
        columns = ", ".join(kind.field(i).name for i in range(min(kind.num_fields, 8)))
        raise TypeError(
            f"{name}: a table is given; give one of its columns ({columns}), "
            "or what its to_numpy() gives"
        )
    if pa.types.is_dictionary(kind):
        return pa.chunked_array([_decoded(chunk) for chunk in _chunks(array)])
    if pa.types.is_run_end_encoded(kind):
        return pc.run_end_decode(array)
    return array


def _chunks(array: pa.Array | pa.ChunkedArray) -> list[pa.Array]:
    if not isinstance(array, pa.ChunkedArray):
        return [array]
    return array.chunks or [pa.nulls(0, array.type)]  # what has no chunk loses its type


def _decoded(array: pa.DictionaryArray) -> pa.Array:
    values = array.dictionary
    if pa.types.is_string_view(values.type):  # which take() does not know
        values = values.cast(pa.large_string())
    elif pa.types.is_binary_view(values.type):
        values = values.cast(pa.large_binary())
    return values.take(array.indices)


def _in_order(view: pa.ListViewArray | pa.LargeListViewArray) -> pa.LargeListArray:
    # Not by cast(): pyarrow 26.0.1 makes lists without offsets of a view.
    if view.null_count:
        raise ValueError(_NULL)
    lengths = view.value_lengths().to_numpy()
    offsets = numpy.concatenate([[0], lengths.cumsum(dtype=numpy.int64)])
    return pa.LargeListArray.from_arrays(offsets, view.flatten())


def _lists(array: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    kind = array.type
    if isinstance(kind, pa.FixedShapeTensorType):
        array = pa.chunked_array([chunk.storage for chunk in _chunks(array)], kind.storage_type)
        kind = kind.storage_type
    try:
        value = kind.value_type
    except AttributeError:
        return array  # no lists: the library says so
    if pa.types.is_list_view(kind) or pa.types.is_large_list_view(kind):
        array = pa.chunked_array([_in_order(chunk) for chunk in _chunks(array)])
    if pa.types.is_float16(value) or pa.types.is_integer(value):
        array = array.cast(pa.large_list(pa.float32()))
    return array


def _matrix(data: Any, name: str) -> Any:
    """What has rows and columns as it is, and else the matrix of a sequence of vectors."""
    if getattr(data, "ndim", None) == 2 or isinstance(data, memoryview):
        return data
    if isinstance(data, (str, bytes, bytearray, os.PathLike)) or not hasattr(data, "__iter__"):
        raise TypeError(
            f"{name}: an Arrow array of lists of floats, a matrix or a sequence of vectors is "
            "expected"
        )
    rows = list(data)
    if any(row is None for row in rows):
        raise ValueError(_NULL)
    try:
        with numpy.errstate(over="ignore"):
            matrix = numpy.asarray(rows, dtype=numpy.float32)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name}: the vectors do not make up a matrix of floats: {error}") from None
    if not rows:
        return matrix.reshape(0, 0)
    if matrix.ndim != 2:
        raise TypeError(f"{name}: several vectors are expected; put a single one into a list")
    return matrix


_NULL = "rows: a vector is null; leave such rows out: table.filter(pc.field('verdict') == 'ok')"
