"""Features and PCA on Spark: the same C++ core in every Python worker.

`extract_features`, `fit_pca` and `transform` work on DataFrames; `pomona.spark_job` makes the whole
job of them. Rows never come to the driver. PySpark 3.5 and 4.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
from pyspark.ml.functions import array_to_vector
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from . import PCA, Extractor, Moments
from ._core import vector_text

__all__ = ["extract_features", "fit_pca", "plain_path", "read_images", "transform"]

EXTRACTED = (
    "path string, label string, verdict string, features array<float>, "
    "stage string, reason string, message string"
)

# What one message between the JVM and a Python worker holds: images may be large.
_BATCH_ROWS = 32

# Rows that are added to the moments at once; fewer take longer.
_MOMENTS_ROWS = 4096


def read_images(spark: SparkSession, *folders: str, recursive: bool = True) -> DataFrame:
    """The files below the folders, as `binaryFile` gives them, in tasks of some hundred images.

    A file that cannot be read any more is left out, not a failed task: compare with the listing
    (the same DataFrame without its column `content`).
    """
    # Spark's own 4 MB for opening a file would make tasks of 32 small images.
    spark.conf.set("spark.sql.files.openCostInBytes", str(256 * 1024))
    return (
        spark.read.format("binaryFile")
        .option("recursiveFileLookup", recursive)
        .option("ignoreMissingFiles", True)
        .option("ignoreCorruptFiles", True)
        .option("__globPaths__", False)  # a folder's name may have brackets in it
        .load(list(folders))
    )


def plain_path(path: Column) -> Column:
    """A path as the outputs write it: absolute where local, s3:// in the object store."""
    local = F.regexp_replace(path, "^file:/+", "/")
    return F.regexp_replace(local, "^s3[an]://", "s3://")


def extract_features(
    df: DataFrame,
    *,
    weights: str | os.PathLike[str] | None = None,
    root: str = "",
    keep: Any = None,
) -> DataFrame:
    """Features of the images in the columns `path` and `content` of a DataFrame.

    weights: a file on the driver, made by `pomona weights`; it is broadcast. None: ImageNet's.
    root: the folder that paths are below: an image right in it has no label.
    keep: a function of an Arrow array of paths that gives a mask of those to take.

    Returns path, label, verdict (`ok`, `reject`, `skip`), features (null unless ok), stage, reason,
    message: a row for each image, and for a broken one its reason, never a failed task.
    """
    spark = _prepared(df)
    broadcast = None
    if weights is not None:
        with open(weights, "rb") as file:
            broadcast = spark.sparkContext.broadcast(file.read())
    extract = functools.partial(_extract, weights=broadcast, root=root, keep=keep)
    files = df.select(plain_path(F.col("path")).alias("path"), "content")
    return files.mapInArrow(extract, EXTRACTED)


def fit_pca(
    df: DataFrame,
    k: int | None = None,
    *,
    features: str = "features",
    center: bool = False,
    standardize: bool = False,
) -> PCA:
    """A PCA fitted on a column of feature vectors.

    Each partition gives its moments, which executors merge in two steps; the driver sees one row,
    whatever the number of images.
    """
    spark = _prepared(df)
    parts = df.select(features).mapInArrow(_moments, "part int, moments binary")
    for tasks in (spark.sparkContext.defaultParallelism, 1):
        parts = (
            parts.repartition(tasks, "part")
            .sortWithinPartitions("part")  # the sum must not depend on which part came first
            .mapInArrow(_merge_moments, "part int, moments binary")
        )
    merged = parts.select("moments").collect()
    if not merged:
        raise ValueError("no rows to fit a PCA on")
    options = {} if k is None else {"n_components": k}
    pca = PCA(**options, center=center, standardize=standardize)
    return pca.fit(Moments.from_bytes(bytes(merged[0].moments)))


def transform(
    df: DataFrame,
    pca: PCA,
    *,
    features: str = "features",
    output: str = "pca_features",
    vectors: str = "list",
) -> DataFrame:
    """Adds the projections of a column of feature vectors, which is left out.

    vectors: `list` (array<float>) or `spark` (MLlib's vector of float64).
    """
    projected = _project(df, pca, features, output, "array<double>", text=False)
    column = F.col(output)
    column = array_to_vector(column) if vectors == "spark" else column.cast("array<float>")
    return projected.withColumn(output, column)


def transform_to_text(df: DataFrame, pca: PCA, output: str) -> DataFrame:
    """The same as `path,label` and the numbers as they stand in CSV."""
    return _project(df, pca, "features", output, "string", text=True)


def features_to_text(df: DataFrame, output: str) -> DataFrame:
    """Feature vectors as they stand in CSV."""
    _prepared(df)
    return df.select("path", "label", "features").mapInArrow(
        functools.partial(_to_text, output=output), f"path string, label string, {output} string"
    )


def _project(df, pca, features, output, output_type, text):
    spark = _prepared(df)
    kept = [field for field in df.schema.fields if field.name != features]
    schema = ", ".join(f"`{field.name}` {field.dataType.simpleString()}" for field in kept)
    project = functools.partial(
        _project_batches,
        pca=spark.sparkContext.broadcast(pca.to_bytes()),
        features=features,
        output=output,
        text=text,
    )
    return df.mapInArrow(project, f"{schema}, `{output}` {output_type}")


def _prepared(df):
    # Spark reads this when it turns a DataFrame into tasks, so it cannot be given back here.
    df.sparkSession.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", str(_BATCH_ROWS))
    return df.sparkSession


# What follows runs in the Python workers.


@functools.lru_cache(maxsize=1)
def _extractor(weights: _Weights | None) -> Extractor:
    """The engine of this worker, kept between partitions."""
    return Extractor(weights and weights.content, threads=1)


class _Weights:
    """Bytes of a file of weights, known by their digest."""

    def __init__(self, content):
        self.content = content
        self.digest = hashlib.sha256(content).digest()

    def __hash__(self):
        return hash(self.digest)

    def __eq__(self, other):
        return self.digest == other.digest


def _extract(batches: Iterator[pa.RecordBatch], weights, root, keep) -> Iterator[pa.RecordBatch]:
    extractor = _extractor(weights and _Weights(weights.value))
    for batch in batches:
        if keep is not None:
            batch = batch.filter(keep(batch["path"]))
        table = extractor.extract(batch["content"], paths=batch["path"], root=root)
        yield from table.to_batches()


def _moments(batches):
    from pyspark import TaskContext

    moments = None
    for vectors in _gathered(batches):
        if moments is None:
            moments = Moments(len(vectors[0]))
        moments.add(vectors)
    if moments is not None:
        yield _part(TaskContext.get().partitionId(), moments)


def _gathered(batches):
    chunks, rows = [], 0
    for batch in batches:
        chunks.append(batch.column(0))
        rows += len(batch)
        if rows >= _MOMENTS_ROWS:
            yield pa.concat_arrays(chunks)
            chunks, rows = [], 0
    if rows > 0:
        yield pa.concat_arrays(chunks)


def _merge_moments(batches):
    number, moments = None, None
    for batch in batches:
        for row in batch.to_pylist():
            number = row["part"] if number is None else number
            moments = _merged(moments, row["moments"])
    if moments is not None:
        yield _part(number, moments)


def _merged(moments, part):
    part = Moments.from_bytes(part)
    return part if moments is None else moments.merge(part)


def _part(number, moments):
    return pa.record_batch({
        "part": pa.array([number], pa.int32()),
        "moments": pa.array([moments.to_bytes()], pa.binary()),
    })


def _project_batches(batches, pca, features, output, text):
    pca = PCA.from_bytes(pca.value)
    for batch in batches:
        column = pca.transform(batch[features])
        if text:
            column = vector_text(column)
        yield _replaced(batch, features, output, column)


def _to_text(batches, output):
    for batch in batches:
        yield _replaced(batch, "features", output, vector_text(batch["features"]))


def _replaced(batch, name, new_name, column):
    columns = {field: batch[field] for field in batch.schema.names if field != name}
    return pa.record_batch({**columns, new_name: column})


@contextlib.contextmanager
def described(spark: SparkSession, description: str):
    """Names the stages of the jobs inside, for Spark's UI."""
    context = spark.sparkContext
    context.setJobDescription(f"pomona: {description}")
    try:
        yield
    finally:
        context.setJobDescription(None)
