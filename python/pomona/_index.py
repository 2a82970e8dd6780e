"""The features of a run, to be searched."""

from __future__ import annotations

import operator
import os
from typing import Any, Unpack

import pyarrow as pa

from . import _core, _inputs, _options, _progress


class Index(_core.Index):
    """The published features of a run of `output`, to be searched for the nearest to others.

    `output`: a folder or `s3://bucket/prefix`; `run_id`: the run published last where it is None.
    The features are read once, into a file without a name among the temporary ones ($TMPDIR; 5 KiB
    an image), where a search takes those that it needs; some 700 bytes an image are held in memory.
    The run is not needed any more then. `threads`: as for `run`. `weights`: the file of the run's
    weights, where it was not made with the default ones; needed to search by pictures only.
    `progress`: as for `run`, of the reading.

    Threads: any number may search at once; by pictures one does, and others wait.

    Raises ValueError where there is no such run, or where its files are not as they were published;
    OSError, MemoryError.
    """

    def __init__(
        self,
        output: str | os.PathLike[str],
        run_id: str | None = None,
        *,
        weights: str | os.PathLike[str] | bytes | None = None,
        threads: int = _options.DEFAULTS.threads,
        progress: _progress.Progress = None,
        **s3: Unpack[_options.S3Options],
    ) -> None:
        self._weights = weights
        self._threads = threads
        self._made: _core.Extractor | None = None
        with _progress.hook(progress) as hook:
            super().__init__(os.fspath(output), run_id or "", threads, hook, dict(s3))

    def search(self, queries: Any, k: int = 10) -> pa.Table:
        """The `k` published images that are nearest to each query, by the cosine of their features.

        `queries`: vectors (a matrix of float32, or an Arrow array of lists of them, such as the
        column of a run), or pictures as `Extractor.extract` takes them (paths, the bytes of files,
        Pillow images, arrays of pixels), whose features are computed as the run's were. A picture
        that is in the run is found, too: at a distance of 0.

        A row for each of min(k, len(self)), query after query, the nearest first, of equally near
        ones in the order of their paths: query (its place, from 0), rank (from 1), path, label, and
        distance: 1 - cosine, in float64. It is what comparing each with each gives; features that
        are all zero are at a distance of 1 from all.

        Raises ValueError for a picture that cannot be read or decoded, for weights that are not the
        run's, and for vectors of another length or with values that are no numbers.
        """
        if operator.index(k) < 1:
            raise ValueError(f"k: at least 1, not {k}")
        if _inputs.arrow(queries, "queries") is None and getattr(queries, "ndim", 0) == 0:
            queries = _inputs.several(queries, "queries")
        vectors = self._features(queries) if _are_pictures(queries) else queries
        return self._search(_inputs.vectors(vectors, "queries"), min(k, len(self)))

    def _features(self, pictures: Any) -> Any:
        if self._made is None:
            self._made = self._extractor(self._weights, {"threads": self._threads})
        table: pa.Table = self._made._extract(_inputs.images(pictures), None, None)
        for place, row in enumerate(table.drop_columns("features").to_pylist()):
            if row["verdict"] != "ok":
                why = ": ".join(filter(None, [row["path"], row["reason"], row["message"]]))
                raise ValueError(f"queries[{place}]: {why}")
        return table["features"]

    def __repr__(self) -> str:
        return f"<pomona.Index of {len(self)} images of run {self.run_id}>"


def _are_pictures(queries: Any) -> bool:
    array = _inputs.arrow(queries, "queries")
    if array is not None:
        return not hasattr(array.type, "value_type")  # no lists
    if hasattr(queries, "ndim") and queries.ndim > 1:
        return queries.ndim > 2
    return len(queries) > 0 and _is_picture(next(iter(queries)))


def _is_picture(query: Any) -> bool:
    return (
        isinstance(query, (str, bytes, bytearray, memoryview, os.PathLike))
        or _inputs.is_pillow(query)
        or getattr(query, "ndim", None) == 3
    )
