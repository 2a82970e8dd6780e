"""What the features of a run say about its images."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Unpack

import pyarrow as pa

from . import _core, _inputs, _options, _progress
from ._core import AuditSummary


def audit(
    output: str | os.PathLike[str],
    run_id: str | None = None,
    *,
    near: float = 0.98,
    neighbours: int = 10,
    knn: int = 0,
    split: str | Sequence[str] = (),
    threads: int = 0,
    progress: _progress.Progress = None,
    **s3: Unpack[_options.S3Options],
) -> AuditSummary:
    """Finds duplicates, leaks between splits, outliers, wrong labels and image issues in a run.

    Publishes tables below `output`/audit (docs/audit.md of the project), in place of those of an
    earlier audit of the run, and returns their counts. `run_id`: the run published last where it
    is None. `near`: the least cosine of the features of near duplicates. `neighbours`: how many
    nearest images vote on a label. `knn`: how many nearest images of each are published as a table
    of their own; 0: none. `split`: "GLOB=NAME" or a list of these, the part of the data set that
    images belong to. `progress`: as for `run`.

    Which images are dark, light, blurred, or another file with the same pixels, takes a run with
    `stats="full"`; without it the columns of these are null.

    Raises ValueError where there is no such run or an option cannot work; OutputBusy where another
    audit is under way there; OSError, MemoryError.
    """
    with _progress.hook(progress) as hook:
        return _core.audit(
            os.fspath(output),
            run_id or "",
            near,
            neighbours,
            knn,
            [split] if isinstance(split, str) else list(split),
            threads,
            hook,
            dict(s3),
        )


def near_pairs(features: Any, cosine: float, others: Any = None, *, threads: int = 0) -> pa.Table:
    """All pairs of rows whose cosine is at least `cosine`, as comparing each with each gives them.

    `features`: a matrix of float32, or an Arrow array of lists of them, such as the column of a
    run. Columns: a and b, the numbers of the rows (uint32, a < b), and cosine (float64); in their
    order. With `others`, as `features`, a is a row of `features` and b one of `others`. A row of
    zeros is near none. Memory beside the features: some 500 bytes a row, 10 KiB a dimension, up to
    100 MiB for a covariance, and the pairs.

    Raises ValueError for a cosine not in (0, 1] and features that are not finite.
    """
    rows = _inputs.vectors(features, "features")
    among = None if others is None else _inputs.vectors(others, "others")
    return _core.near_pairs(rows, cosine, among, threads)
