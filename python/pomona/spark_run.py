"""The whole job on Spark: what `pomona run` does on one machine, with the same outputs."""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import datetime
import hashlib
import json
import logging
import pathlib
import sys
import time

import pyarrow as pa
import pyarrow.compute as pc
from py4j.protocol import Py4JJavaError
from pyspark import StorageLevel, inheritable_thread_target
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from . import Extractor, TooManyRejects, __version__, _core
from . import spark as ps

log = logging.getLogger("pomona")

# Above this size a file is read only after its first bytes have shown that it is an image: a video
# or an archive would fill the executors' memory for nothing.
_LARGE_FILE_BYTES = 32 << 20
# All that the signatures of images take, and how many files are looked at at once.
_HEAD_BYTES = 4096
_HEADS_AT_ONCE = 16

# Rows in a part where the cluster would have nothing to do with larger ones.
_SMALL_PART_ROWS = 4096

# In one message between the JVM and a Python worker: of vectors, some MB.
_VECTORS_AT_ONCE = 1024

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

_TOO_MANY_REJECTS = 3


def main(source: str, output: str, options: dict) -> int:
    """Runs the job in a session of its own; returns the exit code of `pomona run`."""
    # Our own lines only: py4j would log its connections.
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s pomona: %(message)s"))
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    spark = SparkSession.builder.appName("pomona").getOrCreate()
    spark.sparkContext.setLogLevel("WARN")
    try:
        summary = run(spark, source, output, **options)
    except TooManyRejects as error:
        log.error("%s", error)
        return _TOO_MANY_REJECTS
    except (ValueError, LookupError, OSError) as error:
        log.error("%s", error)
        return 1
    finally:
        spark.stop()
    print(json.dumps(summary))
    return 0


def run(spark: SparkSession, source: str, output: str, **options) -> dict:
    """Runs the job; the options are those of `pomona.run`. Returns counts and seconds."""
    return _Job(spark, source, output, options).run()


@dataclasses.dataclass(frozen=True)
class _Selection:
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


class _Job:
    def __init__(self, spark, source, output, options):
        self.spark = spark
        self.given = options
        self.options = _core.RunOptions(**options)
        if self.options.hidden:
            raise ValueError("hidden files cannot be taken here: Spark does not list them")
        self.files = _Files(spark)
        self.source = self.files.qualified(source)
        self.output = self.files.qualified(output)
        self.run_id = self.options.run_id or f"{datetime.datetime.now():%Y%m%d_%H%M%S}"
        # Fails early where the weights are wrong; says what the outputs tell of the model.
        self.extractor = Extractor(self.options.weights or None, threads=1)
        features, components = self.extractor.n_features, self.options.pca_components
        if components > features:
            raise ValueError(
                f"PCA of {features} features has 1 to {features} components, not {components}; "
                "use --pca-components"
            )
        self.started = time.monotonic()
        self.seconds = {}

    def run(self):
        if self.files.exists(self.folder("run_info")):
            raise ValueError(f"run {self.run_id} is published in {self.output} already")
        with self.stage("list"):
            training = f"{self.source}/Training"
            self.tree = training if self.files.is_folder(training) else self.source
            if not self.files.is_folder(self.tree):
                raise ValueError(f"INPUT {self.source}: no such folder")
            self.root = self.files.plain(self.tree)
            tree = ps.read_images(self.spark, self.tree)
            found = tree.select("path", "length", "modificationTime")
            # Kept, since Spark looks at each file anew and leaves out what is gone by then.
            found.persist(StorageLevel.DISK_ONLY)
            content, listing = self.select(tree, found)
            listed, fingerprint = self.count(listing)
            if listed == 0:
                raise ValueError(f"no files under {self.source} that the mode and the globs select")
            if listed < self.options.pca_components:
                raise ValueError(
                    f"PCA needs at least as many images as components: {listed} files, "
                    f"{self.options.pca_components} components; use --pca-components"
                )
            content = content.where(self.is_input(ps.plain_path(F.col("path"))))
            content = self.readable(content, found)
        with self.stage("extract"):
            work = f"{self.output}/_pomona/spark_{fingerprint}"
            if self.files.exists(f"{work}/_SUCCESS"):
                log.info("features of an unfinished run are taken from %s", work)
            else:
                ps.extract_all(
                    content,
                    weights=self.options.weights or None,
                    keep=self.selection,
                    vectors="binary",
                ).write.mode("overwrite").option("compression", "none").parquet(work)
        self.spark.conf.set(ps.BATCH_ROWS, str(_VECTORS_AT_ONCE))
        log.info("%d items, %.0f images/s", listed, listed / self.seconds["extract"])

        extracted = self.spark.read.schema(ps.extracted_schema("binary")).parquet(work)
        rows, rejects, skips = self.counts(extracted)
        errors = extracted.where("verdict = 'reject'")
        if rows + sum(rejects.values()) + sum(skips.values()) != listed:
            lost = self.lost(listing, extracted)
            for row in lost.groupBy("reason").count().collect():
                rejects[row["reason"]] = rejects.get(row["reason"], 0) + row["count"]
            errors = errors.select(lost.columns).unionByName(lost)
        rejected, skipped = sum(rejects.values()), sum(skips.values())
        if rows + rejected + skipped != listed:
            raise RuntimeError(
                f"items were lost: {listed} listed, but {rows} rows + {rejected} rejects + "
                f"{skipped} skips; please report this"
            )
        if not self.options.allows_rejects(rows, rejected):
            raise TooManyRejects(
                f"{rejected} of {rows + rejected} images were rejected, more than --max-rejects "
                f"allows; see the rejects in {work}"
            )

        if rows < max(2, self.options.pca_components):
            reasons = ", ".join(f"{reason} {count}" for reason, count in sorted(rejects.items()))
            raise ValueError(
                f"{rows} of {rows + rejected} images could be read"
                + (f" ({reasons}; see the rejects in {work})" if rejects else "")
                + f": too few for {self.options.pca_components} components"
            )

        with self.stage("sort"):
            ordered = self.ordered(extracted, rows)
        with self.stage("write"):
            # The features do not wait for the PCA.
            _in_parallel(
                lambda: self.write_pca(ordered), lambda: self.write_features(ordered, errors)
            )
        ordered.unpersist()
        found.unpersist()
        self.seconds["total"] = time.monotonic() - self.started
        self.publish_run_info(listed, rows, rejects, skips)
        self.files.remove(work)
        self.files.remove_if_empty(f"{self.output}/_pomona")
        log.info("run %s: %d images, %d rejects, %d skips", self.run_id, rows, rejected, skipped)
        return {
            "run_id": self.run_id,
            "listed": listed,
            "rows": rows,
            "rejects": rejected,
            "skips": skipped,
            "seconds": self.seconds,
        }

    def select(self, tree, found):
        """The files of the run with and without their content; sets self.selection."""
        empty = _empty_files(tree, found)
        listing = self.listing(found.unionByName(empty.select(found.columns)))
        options = self.options
        limit = _core.item_limit(options)
        unlimited = limit == 2**63 - 1
        if options.mode == "full" and not options.include and not options.exclude and unlimited:
            # No more than a look at the names: what Spark lists holds leftovers of systems, too.
            self.selection = _Selection(self.root, {}, only_apples=False)
            return tree.unionByName(empty), ps.filtered(listing, self.selection)
        apples = _Selection(self.root, {}, only_apples=True)
        only_apples = options.mode == "apples" or (
            options.mode == "mini" and not ps.filtered(listing, apples).isEmpty()
        )
        globs = {name: self.given[name] for name in ("include", "exclude") if self.given.get(name)}
        self.selection = _Selection(self.root, globs, only_apples)
        listing = ps.filtered(listing, self.selection)
        if not unlimited:
            first = listing.select("path").orderBy("path").limit(limit)
            last = first.agg(F.max("path")).first()[0]
            self.selection = dataclasses.replace(self.selection, last=last)
            listing = listing.where(F.col("path") <= F.lit(last))
        # Only the folders that hold any of them are read.
        folders = listing.select(F.regexp_replace("uri", "/[^/]*$", "")).distinct().collect()
        content = ps.read_images(self.spark, *_topmost(row[0] for row in folders))
        return content.unionByName(empty), listing

    def readable(self, content, found):
        """The content without that of large files that need not be read or cannot be."""
        large = self.listing(found).where(F.col("length") > _LARGE_FILE_BYTES)
        large = ps.filtered(large, self.selection).collect()
        if not large:
            return content
        with concurrent.futures.ThreadPoolExecutor(_HEADS_AT_ONCE) as pool:
            heads = pool.map(lambda row: self.files.head(row["uri"], _HEAD_BYTES), large)
            seen = [(row, head) for row, head in zip(large, heads, strict=True) if head is not None]
        judged = self.extractor.extract(
            [head for _, head in seen], paths=[row["path"] for row, _ in seen]
        )
        images, others = [], []
        for (row, head), verdict in zip(seen, judged["verdict"].to_pylist(), strict=True):
            if verdict == "skip":
                others.append((row["uri"], None, row["length"], head))
            elif row["length"] <= ps.MAX_FILE_BYTES:
                images.append(row["uri"])
        # Spark looks at the length before it reads.
        content = content.where(F.col("length") <= _LARGE_FILE_BYTES)
        if others:
            # Their first bytes stand for all of them: the verdict is the same.
            content = content.unionByName(self.spark.createDataFrame(others, content.schema))
        if images:
            content = content.unionByName(ps.read_images(self.spark, *images))
        return content

    def listing(self, tree):
        files = tree.select(
            F.col("path").alias("uri"),
            ps.plain_path(F.col("path")).alias("path"),
            "length",
            "modificationTime",
        )
        # An output below the input is not part of it.
        return files.where(self.is_input(F.col("path")))

    def is_input(self, path):
        return ~path.startswith(self.files.plain(self.output) + "/")

    def count(self, listing):
        """How many files there are, and a name for what is made of just these."""
        number, digest = listing.agg(
            F.count("*"),
            # Independent of the order, exact.
            F.sum(F.xxhash64("path", "length", "modificationTime").cast("decimal(38,0)")),
        ).first()
        recipe = (number, digest, self.extractor.weights_digest, __version__)
        return number, hashlib.sha256(repr(recipe).encode()).hexdigest()[:16]

    @staticmethod
    def counts(extracted):
        rows, rejects, skips = 0, {}, {}
        for row in extracted.groupBy("verdict", "reason").count().collect():
            if row["verdict"] == "ok":
                rows = row["count"]
            else:
                (rejects if row["verdict"] == "reject" else skips)[row["reason"]] = row["count"]
        return rows, rejects, skips

    def lost(self, listing, extracted):
        """Rejects for the files that Spark could not read, or was not to."""
        missing = listing.join(extracted.select("path"), "path", "left_anti")
        large = F.col("length") > ps.MAX_FILE_BYTES
        return missing.select(
            "path",
            ps.label(F.col("path")).alias("label"),
            F.lit("read").alias("stage"),
            F.when(large, "too_large").otherwise("unreadable").alias("reason"),
            F.when(large, ps.too_large(F.col("length")))
            .otherwise("listed, but cannot be read")
            .alias("message"),
        )

    def ordered(self, extracted, rows):
        """The rows in path order, over as many parts as there is work for."""
        busy = min(-(-rows // _SMALL_PART_ROWS), 2 * self.spark.sparkContext.defaultParallelism)
        parts = max(1, busy, -(-rows // self.options.part_rows))
        ordered = (
            extracted.where("verdict = 'ok'")
            .select("path", "label", "features")
            .repartitionByRange(parts, "path")
            .sortWithinPartitions("path")
            .persist(StorageLevel.DISK_ONLY)
        )
        ordered.count()  # so that those who use it find it there
        return ordered

    def write_pca(self, ordered):
        with self.stage("fit"):
            pca = ps.fit_pca(
                ordered,
                self.options.pca_components,
                center=self.options.center,
                standardize=self.options.standardize,
            )
        projected = ps.project(ordered, pca, text=self.options.csv)
        projected.persist(StorageLevel.DISK_ONLY)
        if self.options.parquet:
            vectors = "spark" if self.options.spark_vectors else "list"
            column = ps.vectors_column("pca_features", vectors).alias("pca_features")
            self.parquet(projected.select("path", "label", column), "pca/parquet", "pca")
        if self.options.csv:
            self.csv(projected.drop("pca_features"), "pca/csv", "pca")
        projected.unpersist()
        model_info = _core.model_info_json(self.run_id, pca, self.extractor)
        self.text(model_info, "json", "model_info")
        self.text(_core.variance_csv(pca), "csv", "model_info", "variance")
        self.text(pca.to_bytes(), "safetensors", "model_info", "pca_model")

    def write_features(self, ordered, errors):
        if self.options.parquet:
            self.parquet(ps.features_to_lists(ordered), "features/parquet", "features")
        if self.options.csv:
            self.csv(ps.features_to_text(ordered), "features/csv", "features")
        self.csv(ordered.select("path", "label"), "metadata")
        columns = ("path", "label", "stage", "reason", "message")
        self.csv(errors.select(*columns).repartition(1).sortWithinPartitions("path"), "errors")

    def folder(self, kind, name=None):
        return f"{self.output}/{kind}/{name or kind}_{self.run_id}"

    def parquet(self, df, kind, name):
        with ps.described(self.spark, f"write {kind}"):
            df.write.mode("overwrite").options(**_PARQUET).parquet(self.folder(kind, name))
        self.files.remove_checksums(self.folder(kind, name))

    def csv(self, df, kind, name=None):
        with ps.described(self.spark, f"write {kind}"):
            df.write.mode("overwrite").csv(self.folder(kind, name), **_CSV)
        self.files.remove_checksums(self.folder(kind, name))

    def text(self, content, extension, kind, name=None):
        folder = self.folder(kind, name)
        self.files.write(f"{folder}/part-00000.{extension}", content)
        self.files.write(f"{folder}/_SUCCESS", b"")
        self.files.remove_checksums(folder)

    def publish_run_info(self, listed, rows, rejects, skips):
        run_info = _core.run_info_json(
            run_id=self.run_id,
            input=self.files.plain(self.source),
            output=self.files.plain(self.output),
            options=self.options,
            engine=self.extractor.engine,
            threads=self.spark.sparkContext.defaultParallelism,
            rejects_by_reason=rejects,
            skips_by_reason=skips,
            listed=listed,
            rows=rows,
            seconds=self.seconds,
        )
        self.text(run_info, "json", "run_info")

    @contextlib.contextmanager
    def stage(self, name):
        started = time.monotonic()
        log.info("%s ...", name)
        with ps.described(self.spark, name):
            yield
        self.seconds[name] = time.monotonic() - started
        log.info("%s: %.1f s", name, self.seconds[name])


def _in_parallel(*functions):
    """Calls them at once, each with a thread of Spark's own properties; raises what they raise."""
    with concurrent.futures.ThreadPoolExecutor(len(functions)) as pool:
        for call in [pool.submit(inheritable_thread_target(call)) for call in functions]:
            call.result()


def _topmost(folders):
    """The folders that lie below none of the others."""
    topmost = []
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


class _Files:
    """Single files and folders, through Hadoop: local, HDFS, S3."""

    def __init__(self, spark):
        self._jvm = spark.sparkContext._jvm
        self._conf = spark.sparkContext._jsc.hadoopConfiguration()

    def _path(self, path):
        return self._jvm.org.apache.hadoop.fs.Path(path)

    def _system(self, path):
        return self._path(path).getFileSystem(self._conf)

    def qualified(self, path):
        qualified = self._system(path).makeQualified(self._path(path)).toString()
        return qualified.rstrip("/") if not qualified.endswith(":/") else qualified

    @staticmethod
    def plain(uri):
        """As ps.plain_path() of a column."""
        if uri.startswith("file:"):
            return "/" + uri[len("file:") :].lstrip("/")
        return uri.replace("s3a://", "s3://", 1).replace("s3n://", "s3://", 1)

    def head(self, path, size):
        """The first bytes of a file that has at least so many; None if it cannot be read."""
        try:
            stream = self._system(path).open(self._path(path))
            try:
                return bytes(self._jvm.org.apache.commons.io.IOUtils.toByteArray(stream, size))
            finally:
                stream.close()
        except Py4JJavaError:
            return None

    def exists(self, path):
        return self._system(path).exists(self._path(path))

    def is_folder(self, path):
        return (
            self.exists(path) and self._system(path).getFileStatus(self._path(path)).isDirectory()
        )

    def write(self, path, content):
        stream = self._system(path).create(self._path(path), True)
        stream.write(bytearray(content.encode() if isinstance(content, str) else content))
        stream.close()

    def remove_checksums(self, folder):
        """Hadoop leaves a hidden one beside each local file; nothing needs them."""
        if folder.startswith("file:"):
            for file in pathlib.Path(self.plain(folder)).glob(".*.crc"):
                file.unlink(missing_ok=True)

    def remove(self, path):
        self._system(path).delete(self._path(path), True)

    def remove_if_empty(self, path):
        system = self._system(path)
        if self.exists(path) and len(system.listStatus(self._path(path))) == 0:
            self.remove(path)
