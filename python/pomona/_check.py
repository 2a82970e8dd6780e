"""What a run would reject."""

from __future__ import annotations

import logging
import os
from typing import Unpack

import pyarrow as pa

from . import _core, _options, _progress

_COLUMNS = ("path", "label", "stage", "reason", "message")
_IMAGE = pa.schema(
    {
        **dict.fromkeys(("path", "label", "format", "mode"), pa.string()),
        **dict.fromkeys(("width", "height"), pa.int32()),
    }
)


class CheckSummary(_core.CheckSummary):
    """What became of the files of a tree."""

    @property
    def errors(self) -> pa.Table:
        """path, label, stage, reason, message of each reject, in path order."""
        columns = zip(*self._rejects, strict=True) if self._rejects else [[]] * len(_COLUMNS)
        arrays = [pa.array(list(column), pa.string()) for column in columns]
        return pa.table(dict(zip(_COLUMNS, arrays, strict=True)))

    @property
    def images(self) -> pa.Table:
        """path, label, format, mode, width, height and, as columns, what `stats` asked for, of each
        image that can be read, in path order; docs/formats.md says what they are. ValueError
        without `stats`."""
        if self._stats == "none":
            raise ValueError("images: there are statistics of these with stats='basic' or 'full'")
        *described, pixels, statistics = (
            zip(*self._images, strict=True) if self._images else [[]] * 8
        )
        names = self._statistic_names
        schema = pa.schema([*_IMAGE, *(pa.field(name, pa.float64()) for name in names)])
        columns = [
            *described,
            *(zip(*statistics, strict=True) if statistics else [[]] * len(names)),
        ]
        if self._stats == "full":
            schema = schema.append(pa.field("pixels_sha256", pa.string()))
            columns.append(pixels)
        return pa.table([list(column) for column in columns], schema=schema)

    def __repr__(self) -> str:
        return (
            f"listed {self.listed} = {self.rows} ok + {self.rejects} rejects + {self.skips} skips"
        )


def check(
    input: str | os.PathLike[str],
    *,
    progress: _progress.Progress = None,
    junit: str | os.PathLike[str] | None = None,
    **options: Unpack[_options.CheckOptions],
) -> CheckSummary:
    """Decodes every file of the tree `input` and computes no features.

    What it finds is what `run` would reject and skip. `input` and the options are as for `run`;
    there are those that `pomona check --help` lists. Whether `max_rejects` allows the rejects is
    the summary's `passed`: nothing is raised for them.

    `junit`: a file to write JUnit's XML to, a test case for each label. `progress`: as for `run`;
    the total is not known. What the user should know besides goes to the logger "pomona".

    Raises ValueError for options or input that cannot work, OSError, MemoryError.
    """
    _options.check(options, "progress", "junit", for_check=True)
    log = logging.getLogger("pomona").warning
    with _progress.hook(progress) as hook:
        file = "" if junit is None else os.fspath(junit)
        return CheckSummary(_core.check(os.fspath(input), hook, log, dict(options), file))
