"""The tables of a published run, as Arrow.

Their bytes come through the core, which reaches S3 as a run does: with the same credentials,
endpoint and patience, which pyarrow's own file system does not share.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NoReturn, Protocol

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from . import _core

# Not what their content suggests: a label may be 7 or NA, and a share just 1.
_TEXTS = "path label stage reason message features_string pca_features_string".split()
_SHARES = ["variance_explained", "cumulative_variance"]

_PARSE = pa.csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False)
_CONVERT = pa.csv.ConvertOptions(
    column_types=dict.fromkeys(_TEXTS, pa.string()) | dict.fromkeys(_SHARES, pa.float64())
)


class Published(Protocol):
    """A run that can be found again."""

    output: str
    _s3: dict[str, Any]

    @property
    def run_id(self) -> str: ...


def contents(run: Published) -> Any:
    """What the core sums up of it."""
    return _core.PublishedOutput(run.output, run._s3).contents(run.run_id)


def features(self: Published) -> pa.Table:
    """path, label, features (1280 numbers an image), in path order."""
    return _vectors(self, "features", "features", "features_string")


def pca(self: Published) -> pa.Table:
    """path, label, pca_features, in path order; lists in whichever layout they were written."""
    return _vectors(self, "pca", "pca_features", "pca_features_string")


def metadata(self: Published) -> pa.Table:
    """path, label of each image, in path order."""
    return _csv(self, "metadata", "metadata")


def images(self: Published) -> pa.Table:
    """id, path, relative_path, label, size, width, height, format, mode, content_sha256 of each
    image, and its statistics where `stats` asked for them, in path order. Raises ValueError where
    the run was published without Parquet.
    """
    table = _parquet(self, "metadata/parquet", "metadata")
    return _missing(self, "metadata/parquet", "metadata") if table is None else table


def errors(self: Published) -> pa.Table:
    """path, label, stage, reason, message of each reject, in path order; relative_path and size,
    too, where the run was published with Parquet.
    """
    table = _parquet(self, "errors/parquet", "errors")
    return _csv(self, "errors", "errors") if table is None else table


def variance(self: Published) -> pa.Table:
    """component, variance_explained, cumulative_variance."""
    return _csv(self, "model_info", "variance")


def _parts(run: Published, kind: str, name: str) -> Iterator[pa.BufferReader]:
    output = _core.PublishedOutput(run.output, run._s3)
    for part in output.parts(run.run_id, kind, name):
        content: Any = output.read(part)  # an array of one value, as pyarrow's own
        yield pa.BufferReader(content.buffers()[1] or b"")


def _vectors(run: Published, name: str, column: str, text_column: str) -> pa.Table:
    table = _parquet(run, f"{name}/parquet", name)
    if table is None:
        table = _csv(run, f"{name}/csv", name)
        vectors = pc.split_pattern(table[text_column], ",").cast(pa.list_(pa.float32()))
        return table.drop_columns([text_column]).append_column(column, vectors)
    if pa.types.is_struct(table[column].type):  # a vector of MLlib's
        values = pc.struct_field(table[column], "values")
        return table.drop_columns([column]).append_column(column, values)
    return table


def _parquet(run: Published, kind: str, name: str) -> pa.Table | None:
    parts = [pa.parquet.read_table(part) for part in _parts(run, kind, name)]
    return pa.concat_tables(parts).replace_schema_metadata() if parts else None


def _missing(run: Published, kind: str, name: str) -> NoReturn:
    raise ValueError(f"the run {run.run_id} in {run.output} has no {kind}/{name}_{run.run_id}")


def _csv(run: Published, kind: str, name: str) -> pa.Table:
    parts = [
        pa.csv.read_csv(part, parse_options=_PARSE, convert_options=_CONVERT)
        for part in _parts(run, kind, name)
    ]
    return pa.concat_tables(parts) if parts else _missing(run, kind, name)
