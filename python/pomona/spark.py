"""Features and PCA on Spark: the same C++ core in every Python worker.

`extract_features`, `fit_pca`, `transform` and `near_pairs` work on DataFrames; `pomona.spark_job`
makes the whole job of the first three. Rows never come to the driver, but for a sample that
`near_pairs` takes. PySpark 3.5 and 4.
"""

from __future__ import annotations

import collections
import contextlib
import functools
import hashlib
import operator
import os
import sys
import warnings
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

try:
    from pyspark.ml.functions import array_to_vector, vector_to_array
    from pyspark.ml.linalg import VectorUDT
    from pyspark.sql import Column, DataFrame, SparkSession
    from pyspark.sql import functions as F
    from pyspark.sql.types import (
        ArrayType,
        BinaryType,
        BooleanType,
        DataType,
        DoubleType,
        LongType,
        NumericType,
        StringType,
        StructType,
    )
except ModuleNotFoundError as error:
    # PySpark asks for none of what it imports.
    raise ModuleNotFoundError(
        f"pomona.spark needs {error.name}, which is not installed for {sys.executable}: "
        "pip install 'pomona[cluster]' where the cluster brings PySpark, else 'pomona[spark]'",
        name=error.name,
    ) from error

from . import PCA, Extractor, Moments, __version__, _core, _spark_pairs
from ._core import max_file_bytes, vector_text
from ._options import DEFAULTS
from ._spark_executor import classic_context, in_worker
from ._spark_vectors import lists, packed

__all__ = [
    "extract_features",
    "fit_pca",
    "near_pairs",
    "plain_path",
    "read_images",
    "transform",
]

# How feature vectors stand in a DataFrame.
_VECTORS = {"list": "array<float>", "binary": "binary"}

# Rows in one message between the JVM and a Python worker: images may be large.
BATCH_ROWS = "spark.sql.execution.arrow.maxRecordsPerBatch"
_IMAGES_AT_ONCE = 32

# Rows that are added to the moments at once; fewer take longer.
_MOMENTS_ROWS = 4096

# Moments that a task merges.
_MERGED_AT_ONCE = 16


def read_images(spark: SparkSession, *paths: str) -> DataFrame:
    """The files below folders, as `binaryFile` gives them, in tasks of some hundred images.

    A path may name a file, too. Folders must not lie in each other: their files would come twice.

    A file that cannot be read any more is left out, not a failed task (but HDFS' own refusals and
    lost blocks fail one): compare with the listing, which is the same DataFrame without its column
    `content`, by `plain_path(F.col("path"))`, as the results have it. Files of no bytes are left
    out, too, by Spark itself, and from the listing as well.

    Sets `spark.sql.files.openCostInBytes` of the session. Warns where the driver's Java cannot have
    names that are no ASCII in local paths: set LC_ALL=C.UTF-8 for it and the executors.
    """
    _warn_of_names(spark, paths)
    # Spark's own 4 MB for opening a file would make tasks of 32 small images. It is read when a
    # query starts, so it cannot be given back here.
    spark.conf.set("spark.sql.files.openCostInBytes", str(512 * 1024))
    return (
        spark.read.format("binaryFile")
        # Without it Spark takes folders named NAME=VALUE for partitions: it adds columns,
        # overwrites its own, or fails.
        .option("recursiveFileLookup", True)
        .option("ignoreMissingFiles", True)
        .option("ignoreCorruptFiles", True)
        .option("__globPaths__", False)  # a folder's name may have brackets in it
        .load(list(paths))
    )


def _warn_of_names(spark: SparkSession, paths: tuple[str, ...]) -> None:
    try:
        java = classic_context(spark, "read_images")._jvm.java
    except NotImplementedError:  # Spark Connect: nobody can ask
        return
    from ._hadoop import Files

    encoding = java.lang.System.getProperty("sun.jnu.encoding")
    local = (path for path in paths if Files(spark).qualified(path).startswith("file:"))
    if encoding != "UTF-8" and next(local, None):
        warnings.warn(
            f"Java's encoding of file names is {encoding}: files whose names it does not have are "
            "left out without a word; set LC_ALL=C.UTF-8 for the driver and the executors",
            stacklevel=3,
        )


def plain_path(path: Column) -> Column:
    """A path as the outputs write it: absolute where local, s3:// in the object store."""
    local = F.regexp_replace(path, "^file:/+", "/")
    return F.regexp_replace(local, "^s3[an]://", "s3://")


def label(path: Column) -> Column:
    """The label of an image: the name of its folder; none right in a bucket."""
    folder = F.regexp_replace(path, "^[a-z0-9]+://[^/]*|/[^/]*$", "")
    return F.element_at(F.split(folder, "/"), -1)


def extract_features(
    df: DataFrame,
    *,
    weights: str | os.PathLike[str] | None = None,
    keep: Any = None,
    vectors: str = "list",
) -> DataFrame:
    """Features of the images in the columns `path` and `content` of a DataFrame.

    weights: a file on the driver, made by `pomona weights`; it is broadcast. None: ImageNet's.
    keep: a function of an Arrow array of paths that gives a mask of those to take.
    vectors: `list` (array<float>) or `binary` (the bytes of float32, little-endian, which pass
    through Spark faster; all functions here take both).

    Returns path, label, verdict (`ok`, `reject`, `skip`), features (null unless ok), stage, reason,
    message: a row for each image, and for a broken one its reason, never a failed task.

    Where the DataFrame has the column `length` too, as `binaryFile` gives it, files of more than
    1 GiB are rejects that Spark does not read; it could not read more than 2 GiB. A row without a
    length has no result: drop the column where some are.
    """
    _check_choice(vectors, _VECTORS)
    options = {"weights": weights, "keep": keep, "vectors": vectors}
    if "length" not in df.columns:
        return extract_all(df, **options)
    # As `binaryFile` understands it, which then reads no larger ones.
    fits = F.col("length") <= max_file_bytes
    large = df.where(~fits).select(plain_path(F.col("path")).alias("path"), "length")
    if keep is not None:
        large = filtered(large, keep)
    rejects = large.select(
        "path",
        label(F.col("path")).alias("label"),
        F.lit("reject").alias("verdict"),
        F.lit(None).cast(_VECTORS[vectors]).alias("features"),
        F.lit("read").alias("stage"),
        F.lit("too_large").alias("reason"),
        too_large(F.col("length")).alias("message"),
    )
    return extract_all(df.where(fits), **options).unionByName(rejects)


def too_large(length: Column) -> Column:
    """What the program says of such a file."""
    return F.concat(length.cast("string"), F.lit(f" bytes; the limit is {max_file_bytes}"))


def filtered(df: DataFrame, keep: Any) -> DataFrame:
    """The rows whose column `path` is in the mask."""
    return df.mapInArrow(functools.partial(_kept, keep=keep), df.schema)


def extract_all(df: DataFrame, *, weights, keep, vectors) -> DataFrame:
    """As extract_features(), whatever the files' sizes."""
    spark = df.sparkSession
    # Spark reads this when a query starts, so it cannot be given back here.
    rows = int(spark.conf.get(BATCH_ROWS))
    if not 0 < rows <= _IMAGES_AT_ONCE:  # 0 and less: no limit
        spark.conf.set(BATCH_ROWS, str(_IMAGES_AT_ONCE))
    # Fails here where the weights are wrong, not four times in a task.
    model = _model(Extractor(weights, threads=1))
    broadcast = None
    if weights is not None:
        with open(weights, "rb") as file:
            broadcast = classic_context(spark, "weights=").broadcast(file.read())
    extract = functools.partial(
        _extract, weights=broadcast, model=model, keep=keep, as_bytes=vectors == "binary"
    )
    files = df.select(plain_path(F.col("path")).alias("path"), "content")
    return files.mapInArrow(extract, extracted_schema(vectors))


def _model(extractor: Extractor) -> tuple[str, ...]:
    """What has to be the same everywhere for features to be."""
    return __version__, extractor.weights_digest, extractor.preprocessing


def _check_choice(vectors: str, choices) -> None:
    if vectors not in choices:
        raise ValueError(f"vectors: one of {', '.join(choices)}, not {vectors!r}")


def extracted_schema(vectors: str) -> str:
    """The columns of extract_features()."""
    return (
        f"path string, label string, verdict string, features {_VECTORS[vectors]}, "
        "stage string, reason string, message string"
    )


def fit_pca(
    df: DataFrame,
    k: int = DEFAULTS.pca_components,
    *,
    features: str = "features",
    center: bool = DEFAULTS.center,
    standardize: bool = DEFAULTS.standardize,
) -> PCA:
    """A PCA of k components, fitted on a column of feature vectors; rows without one (rejects,
    skips) are left out.

    Each partition gives its moments, which executors merge, 16 at a time; the driver sees one row,
    whatever the number of images.
    """
    try:
        count = operator.index(k)
    except TypeError:
        raise TypeError(f"k: an integer, not {k!r}") from None
    if count < 1:
        raise ValueError(f"k: at least 1, not {k}")
    pca = PCA(count, center=center, standardize=standardize)
    moments = merged_moments(df, features)
    try:
        return pca.fit(moments)
    except ValueError as error:
        raise ValueError(str(error).replace("n_components", "k")) from error


def merged_moments(df: DataFrame, features: str = "features") -> Moments:
    """The moments of a column of feature vectors; rows without one are left out."""
    classic_context(df.sparkSession, "fit_pca")
    # Not as DataFrames from here on: Arrow would bring a worker all that it merges (6.5 MB each of
    # 1,280 features) in one message, an RDD one after the other.
    vectors = df.select(_column(df, features)).toDF("vectors")
    _check_vectors(vectors.schema["vectors"].dataType, features)
    vectors = _without_mllib(vectors, "vectors")
    parts = vectors.mapInArrow(_moments, "moments binary").rdd
    while (count := parts.getNumPartitions()) > 1:
        parts = (
            parts.mapPartitionsWithIndex(_numbered)
            .partitionBy(-(-count // _MERGED_AT_ONCE), lambda number: number // _MERGED_AT_ONCE)
            .mapPartitions(_merged)
        )
    merged = parts.collect()
    if not merged:
        raise ValueError(f"no row has a vector in the column {features}: nothing to fit a PCA on")
    return Moments.from_bytes(bytes(merged[0][0]))


def transform(
    df: DataFrame,
    pca: PCA,
    *,
    features: str = "features",
    output: str = "pca_features",
    vectors: str = "list",
) -> DataFrame:
    """Adds the projections of a column of feature vectors, which is left out; null where it is.

    The other columns stay as they are. MLlib's vectors are taken, too, here and by fit_pca.

    vectors: `list` (array<float>) or `spark` (MLlib's vector of float64).
    """
    _check_choice(vectors, ("list", "spark"))
    projected = project(df, pca, features, output)
    return projected.withColumn(output, vectors_column(output, vectors))


def vectors_column(name: str, vectors: str) -> Column:
    """A column of array<double> as transform() gives it."""
    column = F.col(_quoted(name))
    if vectors == "spark":
        return F.when(column.isNotNull(), array_to_vector(column))  # which takes no null
    return column.cast("array<float>")


def features_to_lists(df: DataFrame) -> DataFrame:
    """Feature vectors as array<float>."""
    return df.mapInArrow(_to_lists, "path string, label string, features array<float>")


def features_to_text(df: DataFrame) -> DataFrame:
    """Feature vectors as they stand in CSV."""
    return df.mapInArrow(_to_text, "path string, label string, features_string string")


def project(
    df: DataFrame,
    pca: PCA | _core.PCA,
    features: str = "features",
    output: str = "pca_features",
    *,
    text: bool = False,
) -> DataFrame:
    """As transform(), but array<double>; with text, also OUTPUT_string, the same as CSV has it."""
    counts = collections.Counter(df.columns)
    for name, count in counts.items():
        if count > 1:
            raise ValueError(f"{count} columns are called {name}: rename or drop all but one")
    if features not in counts:
        raise ValueError(f"there is no column {features}, but {', '.join(counts)}")
    _check_vectors(df.schema[features].dataType, features)
    schema = StructType([field for field in df.schema.fields if field.name != features])
    if output.lower() in (name.lower() for name in schema.names):  # as Spark compares them
        raise ValueError(f"there is a column {output} already: give another name as output=")
    schema.add(output, ArrayType(DoubleType()))
    if text:
        schema.add(f"{output}_string", StringType())
    project = functools.partial(
        _project_batches,
        names=df.columns,
        pca=classic_context(df.sparkSession, "transform").broadcast(pca.to_bytes()),
        features=features,
        output=output,
        text=text,
    )
    # By number: mapInArrow fails on names with dots and backticks.
    numbered = _without_mllib(df, features).toDF(*map(str, range(len(df.columns))))
    return numbered.mapInArrow(project, schema)


def near_pairs(
    rows: DataFrame, cosine: float, *, id: str = "path", features: str = "features"
) -> DataFrame:
    """All pairs of rows whose features' cosine is at least `cosine`, above 0 and at most 1: those,
    and the cosines, that `pomona.near_pairs` gives for the same features.

    Returns a, b, cosine: the ids of two rows, a before b as Spark orders them, in no order. Rows
    without features (rejects, skips) and rows of zeros are in no pair.

    Takes three passes over the rows, here and now, and a fourth for the result, so persist them:
    one counts them and their ids, one samples some thousands of rows, by which the driver cuts all
    into blocks of neighbours, and one tells how far these reach. Then a task compares the rows of
    two blocks, and Spark sends each row to all blocks that have rows near it.

    Raises ValueError where two rows have the same id, or one has none.
    """
    cosine = float(cosine)
    if not 0 < cosine <= 1:
        raise ValueError(f"cosine: above 0 and up to 1, not {cosine}")
    vectors = rows.select(_column(rows, id), _column(rows, features)).toDF("id", "vector")
    _check_vectors(vectors.schema["vector"].dataType, features)
    vectors = _without_mllib(vectors, "vector").where("vector IS NOT NULL")
    count, ids = vectors.agg(F.count("*"), F.count_distinct("id")).first()
    if ids != count:
        raise ValueError(
            f"{count} rows have {ids} ids in the column {id}: each needs one of its own"
        )
    kind = vectors.schema["id"].dataType
    schema = StructType().add("a", kind).add("b", kind).add("cosine", DoubleType())
    if count < 2:
        return rows.sparkSession.createDataFrame([], schema)

    # By the ids, so that the same rows are taken whichever way they are partitioned.
    hashed = F.xxhash64("id")
    share = min(1, _spark_pairs.SAMPLE_ROWS / count)
    sample = vectors.where(F.pmod(hashed, F.lit(1 << 40)) < int(share * (1 << 40)))
    some = [row[0] for row in sample.mapInArrow(_spark_pairs.sampled, "vector binary").collect()]
    cuts = _spark_pairs.Cuts(some, count)

    box_schema = _spark_pairs.BOX_SCHEMA
    boxes = (
        vectors.mapInArrow(functools.partial(_spark_pairs.boxes, cuts=cuts), box_schema)
        .repartition("block")
        .mapInArrow(_spark_pairs.merged_boxes, box_schema)
        .collect()
    )
    pairs = _spark_pairs.Pairs(cuts, map(_spark_pairs.box_of, boxes), cosine)

    given = functools.partial(_spark_pairs.given_to_pairs, cuts=cuts, pairs=pairs)
    given_schema = StructType().add("low", LongType()).add("high", LongType())
    given_schema.add("is_high", BooleanType()).add("id", kind).add("vector", BinaryType())
    found = (
        vectors.withColumn("hash", hashed)
        .mapInArrow(given, given_schema)
        .repartition("low", "high")
        .sortWithinPartitions("low", "high", "is_high")
        .mapInArrow(functools.partial(_spark_pairs.compared, cosine=cosine), schema)
    )
    return found.select(F.least("a", "b").alias("a"), F.greatest("a", "b").alias("b"), "cosine")


def _check_vectors(kind: DataType, name: str) -> None:
    numbers = isinstance(kind, ArrayType) and isinstance(kind.elementType, NumericType)
    if not (numbers or isinstance(kind, BinaryType | VectorUDT)):
        raise ValueError(f"the column {name} holds {kind.simpleString()}, no feature vectors")


def _without_mllib(df: DataFrame, features: str) -> DataFrame:
    """With arrays for MLlib's vectors in a column."""
    if not isinstance(df.schema[features].dataType, VectorUDT):
        return df
    column = F.col(_quoted(features))
    arrays = F.when(column.isNotNull(), vector_to_array(column, "float32"))  # which takes no null
    return df.withColumn(features, arrays)


def _column(df: DataFrame, name: str) -> Column:
    """A column, or a field of one."""
    return F.col(_quoted(name) if name in df.columns else name)


def _quoted(name: str) -> str:
    """A column's name where Spark would take dots for fields in it."""
    return "`" + name.replace("`", "``") + "`"


# What follows runs in the Python workers.


@functools.lru_cache(maxsize=1)
def _extractor(weights: _Weights | None) -> Extractor:
    """The engine of this worker, kept between partitions."""
    return Extractor(weights.content if weights else None, threads=1)


class _Weights:
    """Bytes of a file of weights, known by their digest."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.digest = hashlib.sha256(content).digest()

    def __hash__(self) -> int:
        return hash(self.digest)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Weights) and self.digest == other.digest


def _kept(batches, keep):
    return (batch.filter(keep(batch["path"])) for batch in batches)


@in_worker
def _extract(
    batches: Iterator[pa.RecordBatch], weights, model, keep, as_bytes
) -> Iterator[pa.RecordBatch]:
    extractor = _extractor(weights and _Weights(weights.value))
    if (ours := _model(extractor)) != model:
        raise RuntimeError(
            f"pomona on this node is another ({', '.join(ours)}) than the driver's "
            f"({', '.join(model)}): install the same wheel on all"
        )
    for batch in batches if keep is None else _kept(batches, keep):
        table = extractor.extract(batch["content"], paths=batch["path"])
        for part in table.to_batches():
            yield _with_features(part, packed(part["features"])) if as_bytes else part


@in_worker
def _moments(batches):
    moments = None
    for vectors in _gathered(batches):
        if moments is None:
            moments = Moments(len(vectors[0]))
        moments.add(vectors)
    if moments is not None:
        yield pa.record_batch({"moments": pa.array([moments.to_bytes()], pa.binary())})


def _gathered(batches):
    chunks, rows = [], 0
    for batch in batches:
        chunks.append(lists(batch.column(0).drop_null()))
        rows += len(chunks[-1])
        if rows >= _MOMENTS_ROWS:
            yield pa.concat_arrays(chunks)
            chunks, rows = [], 0
    if rows > 0:
        yield pa.concat_arrays(chunks)


def _numbered(number, parts):
    return ((number, bytes(part)) for (part,) in parts)


@in_worker
def _merged(parts):
    moments = None
    for _, content in sorted(parts):  # the sum must not depend on which part came first
        part = Moments.from_bytes(content)
        moments = part if moments is None else moments.merge(part)
    if moments is not None:
        yield (moments.to_bytes(),)


@in_worker
def _project_batches(batches, names, pca, features, output, text):
    pca = PCA.from_bytes(pca.value)
    for batch in batches:
        columns = dict(zip(names, batch.columns, strict=True))
        columns[output] = _transformed(pca, columns.pop(features))
        if text:
            columns[f"{output}_string"] = vector_text(columns[output])
        yield pa.record_batch(columns)


def _transformed(pca, vectors):
    """Their projections, null where they are null."""
    projected = pca.transform(lists(vectors.drop_null()))
    if vectors.null_count == 0:
        return projected
    valid = vectors.is_valid()
    at = pc.subtract(pc.cumulative_sum(valid.cast(pa.int32())), pa.scalar(1, pa.int32()))
    return projected.take(pc.if_else(valid, at, None))


@in_worker
def _to_text(batches):
    for batch in batches:
        text = vector_text(lists(batch["features"]))
        yield pa.record_batch(
            {"path": batch["path"], "label": batch["label"], "features_string": text}
        )


@in_worker
def _to_lists(batches):
    for batch in batches:
        yield _with_features(batch, lists(batch["features"]))


def _with_features(batch, vectors):
    return batch.set_column(batch.schema.get_field_index("features"), "features", vectors)


@contextlib.contextmanager
def described(spark: SparkSession, description: str):
    """Names the stages of the jobs inside, for Spark's UI."""
    context = spark.sparkContext
    context.setJobDescription(f"pomona: {description}")
    try:
        yield
    finally:
        context.setJobDescription(None)
