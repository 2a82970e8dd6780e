"""The folders of a run on Spark, named and filled as the program's."""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Callable

from pyspark.sql import DataFrame, SparkSession

from . import spark as ps
from ._hadoop import Files

# Numbers of vectors hardly repeat.
_PARQUET = {"compression": "zstd", "parquet.enable.dictionary": False}

# What the outputs' CSV is, in Spark's words.
_CSV = {
    "header": True,
    "quote": '"',
    "escape": '"',
    "emptyValue": "",
    "ignoreLeadingWhiteSpace": False,
    "ignoreTrailingWhiteSpace": False,
}


class Outputs:
    """The folders of one run below `output`; without a `run_id` of a run that is not there yet."""

    def __init__(self, spark: SparkSession, files: Files, output: str, run_id: str) -> None:
        self._spark = spark
        self._files = files
        self._output = output
        self.run_id = run_id or _free_run_id(self._is_published)

    def are_published(self) -> bool:
        return self._is_published(self.run_id)

    def _is_published(self, run_id: str) -> bool:
        return self._files.exists(f"{self._output}/run_info/run_info_{run_id}")

    def _folder(self, kind: str, name: str | None) -> str:
        return f"{self._output}/{kind}/{name or kind}_{self.run_id}"

    def parquet(self, df: DataFrame, kind: str, name: str) -> None:
        folder = self._folder(kind, name)
        with ps.described(self._spark, f"write {kind}"):
            df.write.mode("overwrite").options(**_PARQUET).parquet(folder)
        self._files.remove_checksums(folder)

    def csv(self, df: DataFrame, kind: str, name: str | None = None) -> None:
        folder = self._folder(kind, name)
        with ps.described(self._spark, f"write {kind}"):
            df.write.mode("overwrite").csv(folder, **_CSV)
        self._files.remove_checksums(folder)

    def text(
        self,
        content: str | bytes,
        extension: str,
        kind: str,
        name: str | None = None,
        inner: str = "",
    ) -> None:
        """Writes the one part of a folder, or of one that lies in it."""
        outer = self._folder(kind, name)
        folder = f"{outer}/{inner}" if inner else outer
        self._files.write(f"{folder}/part-00000.{extension}", content)
        for complete in dict.fromkeys((folder, outer)):
            self._files.write(f"{complete}/_SUCCESS", b"")
            self._files.remove_checksums(complete)


def _free_run_id(is_taken: Callable[[str], bool]) -> str:
    """The time, with _2, _3, ... behind it where that is taken."""
    now = f"{datetime.datetime.now().astimezone():%Y%m%d_%H%M%S}"
    numbered = (f"{now}_{number}" for number in itertools.count(2))
    return next(run_id for run_id in itertools.chain([now], numbered) if not is_taken(run_id))
