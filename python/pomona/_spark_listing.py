"""Which files of a tree a job on Spark takes, and their content."""

from __future__ import annotations

import dataclasses

import pyarrow as pa
import pyarrow.compute as pc
from pyspark import StorageLevel
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from . import Extractor, _core
from . import spark as ps
from ._hadoop import Files

# Above this size a file is read only after its first bytes have shown that it is an image: a video
# or an archive would fill the executors' memory for nothing.
_LARGE_FILE_BYTES = 32 << 20
# All that the signatures of images take.
_HEAD_BYTES = 4096


@dataclasses.dataclass(frozen=True)
class Selection:
    """Which paths of the tree the run takes; called on Arrow arrays, in the workers."""

    root: str
    options: dict
    only_apples: bool
    last: str | None = None  # in path order

    def __call__(self, paths: pa.Array) -> pa.Array:
        mask = _core.is_listed(paths, self.root, _core.RunOptions(**self.options))
        if self.only_apples:
            mask = pc.and_(mask, _core.is_apple(paths, self.root))
        if self.last is not None:
            mask = pc.and_(mask, pc.less_equal(paths, pa.scalar(self.last, paths.type)))
        return mask


class Listing:
    """The files below `source` that the options select, but for those below `output`."""

    # Columns uri, path, length, modificationTime.
    files: DataFrame
    # Which of the content's paths are among them.
    selection: Selection

    def __init__(
        self, spark: SparkSession, files: Files, source: str, output: str, given: dict
    ) -> None:
        self._spark = spark
        self._hadoop = files
        self._given = given
        self._output = files.plain(output).rstrip("/")
        training = f"{source.rstrip('/')}/Training"
        folder = training if files.is_folder(training) else source
        if not files.is_folder(folder):
            raise ValueError(f"INPUT {source}: no such folder")
        if f"{folder.rstrip('/')}/".startswith(f"{output.rstrip('/')}/"):
            raise ValueError(
                f"OUTPUT {output} holds the folder that is read, {folder}: name another OUTPUT"
            )
        self._root = files.plain(folder).rstrip("/")
        tree = ps.read_images(spark, folder)
        # Kept, since Spark looks at each file again and leaves out what is gone by then.
        self._found = tree.select("path", "length", "modificationTime")
        self._found.persist(StorageLevel.DISK_ONLY)
        self._select(tree)

    def close(self) -> None:
        self._found.unpersist()

    def content(self, extractor: Extractor) -> DataFrame:
        """What Spark's binaryFile gives of them, and of others that the selection leaves out; large
        files without what need not be read or cannot be."""
        content = self._content.where(self._is_input(ps.plain_path(F.col("path"))))
        large = self._listed(self._found).where(F.col("length") > _LARGE_FILE_BYTES)
        large = ps.filtered(large, self.selection).collect()
        if not large:
            return content
        images, others = self._judge(large, extractor)
        # Spark looks at the length before it reads.
        content = content.where(F.col("length") <= _LARGE_FILE_BYTES)
        if others:
            content = content.unionByName(self._spark.createDataFrame(others, content.schema))
        if images:
            content = content.unionByName(ps.read_images(self._spark, *images))
        return content

    def _select(self, tree: DataFrame) -> None:
        """Sets files, selection and the content without regard to large files."""
        empty = _empty_files(tree, self._found)
        listed = self._listed(self._found.unionByName(empty.select(self._found.columns)))
        options = _core.RunOptions(**self._given)
        limit = _core.item_limit(options)
        unlimited = limit == 2**63 - 1
        if options.mode == "full" and not options.include and not options.exclude and unlimited:
            # No more than a look at the names: what Spark lists holds leftovers of systems, too.
            self.selection = Selection(self._root, {}, only_apples=False)
            self.files = ps.filtered(listed, self.selection)
            self._content = tree.unionByName(empty)
            return
        apples = Selection(self._root, {}, only_apples=True)
        only_apples = options.mode == "apples" or (
            options.mode == "mini" and not ps.filtered(listed, apples).isEmpty()
        )
        globs = {
            name: self._given[name] for name in ("include", "exclude") if self._given.get(name)
        }
        self.selection = Selection(self._root, globs, only_apples)
        listed = ps.filtered(listed, self.selection)
        if not unlimited:
            first = listed.select("path").orderBy("path").limit(limit)
            last = first.agg(F.max("path")).first()[0]
            self.selection = dataclasses.replace(self.selection, last=last)
            listed = listed.where(F.col("path") <= F.lit(last))
        self.files = listed
        # Only the folders that hold any of them are read.
        folders = listed.select(F.regexp_replace("uri", "/[^/]*$", "")).distinct().collect()
        content = ps.read_images(self._spark, *_topmost(row[0] for row in folders))
        self._content = content.unionByName(empty)

    def _judge(self, large, extractor):
        """Of the large files the URIs of those to read, and the rows that stand for the others."""
        heads = self._hadoop.heads([row["uri"] for row in large], _HEAD_BYTES)
        seen = [(row, head) for row, head in zip(large, heads, strict=True) if head is not None]
        judged = extractor.extract(
            [head for _, head in seen], paths=[row["path"] for row, _ in seen]
        )
        images, others = [], []
        for (row, head), verdict in zip(seen, judged["verdict"].to_pylist(), strict=True):
            if verdict == "skip":
                # The first bytes stand for all of them: the verdict is the same.
                others.append((row["uri"], None, row["length"], head))
            elif row["length"] <= _core.max_file_bytes:
                images.append(row["uri"])
        return images, others

    def _listed(self, tree: DataFrame) -> DataFrame:
        listed = tree.select(
            F.col("path").alias("uri"),
            ps.plain_path(F.col("path")).alias("path"),
            "length",
            "modificationTime",
        )
        return listed.where(self._is_input(F.col("path")))

    def _is_input(self, path: Column) -> Column:
        return ~path.startswith(self._output + "/")


def _topmost(folders):
    """The folders that lie below none of the others."""
    topmost: list[str] = []
    for folder in sorted(f"{folder}/" for folder in folders):
        if not topmost or not folder.startswith(topmost[-1]):
            topmost.append(folder)
    return topmost


def _empty_files(tree, found):
    """The files of no bytes, which Spark leaves out without a word: those of the tree's file index
    that were not found.

    All of this stays in the JVM: the driver's Python sees no path.
    """
    spark = tree.sparkSession
    everything = tree._jdf.inputFiles()
    count = len(everything)
    if count == found.count():
        return tree.limit(0)
    jvm = spark.sparkContext._jvm
    objects = spark.sparkContext._gateway.new_array(jvm.java.lang.Object, count)
    jvm.java.lang.System.arraycopy(everything, 0, objects, 0, count)
    names = spark._jsparkSession.createDataset(
        jvm.java.util.Arrays.asList(objects), jvm.org.apache.spark.sql.Encoders.STRING()
    )
    encoded = F.replace(F.col("value"), F.lit("+"), F.lit("%2B"))  # these are URIs, not forms
    path = F.regexp_replace(F.url_decode(encoded), "^file:/+", "file:/")
    empty = type(tree)(names.toDF(), spark).select(path.alias("path"))
    return empty.join(found, "path", "left_anti").select(
        "path",
        F.lit(None).cast("timestamp").alias("modificationTime"),
        F.lit(0).cast("long").alias("length"),
        F.lit(b"").alias("content"),
    )
