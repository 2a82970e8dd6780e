"""The job where only Hadoop reaches INPUT or OUTPUT (hdfs:, ...): DataFrames carry the images.

The fallback of spark_run, slower than the core's own way. The features are the program's bit for
bit, the PCA's numbers but for their last bits; part files have Spark's names.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import hashlib
import logging
import time

from pyspark import StorageLevel, inheritable_thread_target
from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from . import Extractor, TooManyRejects, __version__, _core
from . import spark as ps
from ._hadoop import Files, in_one_line
from ._options import DEFAULTS
from ._spark_listing import Listing
from ._spark_outputs import Outputs

log = logging.getLogger("pomona")

# Rows in a part where the cluster would have nothing to do with larger ones.
_SMALL_PART_ROWS = 4096

# Options that have no effect where Spark does the work, and why or what to do instead.
_NATIVE = "the workers compute on the CPU, natively; leave it out, or put INPUT and OUTPUT on S3"
_NO_S3 = "the core does not read S3 here; leave it out"
_REFUSED = {
    "hidden": "Spark lists no hidden files",
    "decode": "an Extractor decodes all of it",
    "stats": "Spark writes paths and labels alone",
    "memory": "give it to the job, which Spark runs",
    "metrics": "Spark itself does the work",
    "shard": "a run whose work Spark shares out is no shard of another",
    "engine": _NATIVE,
    "cpu": _NATIVE,
    "cache": _NO_S3,
    "cache_size": _NO_S3,
    "report": "use none; `pomona report OUTPUT` makes the page of the published run",
}

# Files that may have been left out for a reason that has passed; if there are more, something is
# still wrong.
_READ_AGAIN = 10_000

# In one message between the JVM and a Python worker: of vectors, some MB.
_VECTORS_AT_ONCE = 1024


def run(spark: SparkSession, source: str, output: str, options: dict) -> dict:
    """As spark_run.run()."""
    return _Job(spark, source, output, options).run()


@dataclasses.dataclass
class _Counts:
    """What happened to the listed files; rejects and skips by their reasons."""

    listed: int
    rows: int = 0
    rejects: dict[str, int] = dataclasses.field(default_factory=dict)
    skips: dict[str, int] = dataclasses.field(default_factory=dict)

    def add(self, verdict: str, reason: str, count: int) -> None:
        if verdict == "ok":
            self.rows += count
        else:
            reasons = self.rejects if verdict == "reject" else self.skips
            reasons[reason] = reasons.get(reason, 0) + count

    @property
    def rejected(self) -> int:
        return sum(self.rejects.values())

    @property
    def skipped(self) -> int:
        return sum(self.skips.values())

    @property
    def unaccounted(self) -> int:
        return self.listed - self.rows - self.rejected - self.skipped


class _Job:
    def __init__(self, spark, source, output, options):
        self.spark = spark
        self.given = options
        self.options = _core.RunOptions(**options)
        for name, why in _REFUSED.items():
            if getattr(self.options, name) not in (getattr(DEFAULTS, name), "none"):
                raise ValueError(f"--{name.replace('_', '-')} cannot be had here: {why}")
        self.options = _core.RunOptions(**options | {"report": "none"})  # as run_info is to say
        self.files = Files(spark)
        self.source = self.files.qualified(source)
        self.output = self.files.qualified(output)
        self.outputs = Outputs(spark, self.files, self.output, self.options.run_id)
        # Fails early where the weights are wrong; says what the outputs tell of the model.
        self.extractor = Extractor(self.options.weights or None, threads=1)
        self.pca = _core.given_pca(self.options, self.extractor)  # None: one is fitted
        features, components = self.extractor.n_features, self.options.pca_components
        if components > features:
            raise ValueError(
                f"PCA of {features} features has 1 to {features} components, not {components}; "
                "use --pca-components"
            )
        self.started = time.monotonic()
        self.seconds = {}

    def run(self):
        if self.outputs.are_published():
            raise ValueError(f"run {self.outputs.run_id} is published in {self.output} already")
        with self.stage("list"):
            listing = Listing(self.spark, self.files, self.source, self.output, self.given)
            listed, fingerprint = self.count(listing.files)
            self.check_listed(listed)
            content = listing.content(self.extractor)
        work = self.rejected_in = f"{self.output}/_pomona/spark_{fingerprint}"
        with self.stage("extract"):
            extracted = self.extract(content, listing.selection, work)
            extracted = self.read_again(listing.files, extracted, listed, f"{work}_again")
        log.info("%d items, %.0f images/s", listed, listed / self.seconds["extract"])
        counts, errors = self.account(listed, listing.files, extracted)
        self.check_counts(counts)
        with self.stage("sort"):
            ordered = self.ordered(extracted, counts.rows)
        with self.stage("write"):
            # The features do not wait for the PCA.
            _in_parallel(
                lambda: self.write_pca(ordered, counts.rows),
                lambda: self.write_features(ordered, errors),
            )
        ordered.unpersist()
        listing.close()
        self.seconds["total"] = time.monotonic() - self.started
        self.publish_run_info(counts)
        self.files.remove(work)
        self.files.remove(f"{work}_again")
        self.files.remove_if_empty(f"{self.output}/_pomona")
        summary = {
            "run_id": self.outputs.run_id,
            "listed": listed,
            "rows": counts.rows,
            "rejects": counts.rejected,
            "skips": counts.skipped,
        }
        log.info("run %(run_id)s: %(rows)d images, %(rejects)d rejects, %(skips)d skips", summary)
        return summary | {"resumed": 0, "reused": 0, "seconds": self.seconds["total"]}

    def count(self, files: DataFrame) -> tuple[int, str]:
        """How many files there are, and a name for what is made of just these."""
        number, digest = files.agg(
            F.count("*"),
            # Independent of the order, exact.
            F.sum(F.xxhash64("path", "length", "modificationTime").cast("decimal(38,0)")),
        ).first()
        extractor = self.extractor
        recipe = (number, digest, extractor.weights_digest, extractor.preprocessing, __version__)
        return number, hashlib.sha256(repr(recipe).encode()).hexdigest()[:16]

    def check_listed(self, listed: int) -> None:
        if listed == 0:
            raise ValueError(f"no files under {self.source} that the mode and the globs select")
        if self.pca is None and listed < self.options.pca_components:
            raise ValueError(
                f"PCA needs at least as many images as components: {listed} files, "
                f"{self.options.pca_components} components; use --pca-components"
            )

    def extract(self, content: DataFrame, selection, work: str) -> DataFrame:
        """The verdicts and features, from the folder `work`, where an earlier call may have left
        them."""
        if not self.options.fresh and self.files.exists(f"{work}/_SUCCESS"):
            log.info("features of an unfinished run are taken from %s", work)
        else:
            self.extract_into(work, content, selection)
        return self.extracted_in(work)

    def extract_into(self, folder: str, content: DataFrame, selection=None) -> None:
        extracted = ps.extract_all(
            content, weights=self.options.weights or None, keep=selection, vectors="binary"
        )
        extracted.write.mode("overwrite").option("compression", "none").parquet(folder)

    def extracted_in(self, folder: str) -> DataFrame:
        # Rows hold vectors from here on, not images, for which extract_all() makes batches small.
        self.spark.conf.set(ps.BATCH_ROWS, str(_VECTORS_AT_ONCE))
        return self.spark.read.schema(ps.extracted_schema("binary")).parquet(folder)

    def read_again(
        self, files: DataFrame, extracted: DataFrame, listed: int, folder: str
    ) -> DataFrame:
        """With the files that were left out: Spark does not say whether for good."""
        if extracted.count() == listed:
            return extracted
        readable = _missing(files, extracted).where(F.col("length") <= _core.max_file_bytes)
        uris = [row["uri"] for row in readable.select("uri").limit(_READ_AGAIN + 1).collect()]
        if len(uris) > _READ_AGAIN:
            self.files.remove(folder.removesuffix("_again"))
            raise RuntimeError(
                f"more than {_READ_AGAIN} files were listed but could not be read: see what is "
                f"wrong with {self.source}, then call the same again"
            )
        images = self.images(uris)
        if images is None:
            return extracted
        self.extract_into(folder, images)
        self.rejected_in = f"{self.rejected_in} and {folder}"
        return extracted.unionByName(self.extracted_in(folder))

    def images(self, uris: list[str]) -> DataFrame | None:
        """Those of the files that can be read now; None where none can."""
        while uris:
            heads = self.files.heads(uris, 1)
            left = [uri for uri, head in zip(uris, heads, strict=True) if head is not None]
            log.info("%d files of %d are read once more", len(left), len(uris))
            try:
                return ps.read_images(self.spark, *left) if left else None
            except AnalysisException as error:  # one is gone since its head was read
                log.info("%s", in_one_line(error))
            uris = left if len(left) < len(uris) else []
        return None

    def account(
        self, listed: int, files: DataFrame, extracted: DataFrame
    ) -> tuple[_Counts, DataFrame]:
        """What became of the files, and the rows of the error table."""
        counts = _Counts(listed)
        for row in extracted.groupBy("verdict", "reason").count().collect():
            counts.add(row["verdict"], row["reason"], row["count"])
        errors = extracted.where("verdict = 'reject'")
        if counts.unaccounted:
            lost = _lost(files, extracted)
            for row in lost.groupBy("reason").count().collect():
                counts.add("reject", row["reason"], row["count"])
            errors = errors.select(lost.columns).unionByName(lost)
        return counts, errors

    def check_counts(self, counts: _Counts) -> None:
        images = counts.rows + counts.rejected
        if counts.unaccounted:
            raise RuntimeError(
                f"items were lost: {counts.listed} listed, but {counts.rows} rows + "
                f"{counts.rejected} rejects + {counts.skipped} skips; please report this"
            )
        if not self.options.allows_rejects(counts.rows, counts.rejected):
            raise TooManyRejects(
                f"{counts.rejected} of {images} images were rejected, more than --max-rejects "
                f"allows; see the rejects in {self.rejected_in}"
            )
        if counts.rows < (1 if self.pca else max(2, self.options.pca_components)):
            reasons = ", ".join(f"{reason} {n}" for reason, n in sorted(counts.rejects.items()))
            raise ValueError(
                f"{counts.rows} of {images} images could be read"
                + (f" ({reasons}; see the rejects in {self.rejected_in})" if reasons else "")
                + f": too few for {self.options.pca_components} components"
            )

    def ordered(self, extracted: DataFrame, rows: int) -> DataFrame:
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

    def write_pca(self, ordered: DataFrame, rows: int) -> None:
        with self.stage("fit"):
            pca = self.pca or _core.fit_pca(
                ps.merged_moments(ordered), self.options, self.extractor
            )
        projected = ps.project(ordered, pca, text=self.options.csv)
        projected.persist(StorageLevel.DISK_ONLY)
        if self.options.parquet:
            vectors = "spark" if self.options.spark_vectors else "list"
            column = ps.vectors_column("pca_features", vectors).alias("pca_features")
            self.outputs.parquet(projected.select("path", "label", column), "pca/parquet", "pca")
        if self.options.csv:
            self.outputs.csv(projected.drop("pca_features"), "pca/csv", "pca")
        projected.unpersist()
        model_info = _core.model_info_json(
            self.outputs.run_id, pca, rows, self.pca is not None, self.extractor
        )
        self.outputs.text(model_info, "json", "model_info")
        self.outputs.text(_core.variance_csv(pca), "csv", "model_info", "variance")
        self.outputs.text(pca.to_bytes(), "safetensors", "model_info", "pca_model")
        self.outputs.text(pca._onnx(), "onnx", "model_info", "pca_onnx")
        if spark := pca._spark(f"pca_{self.outputs.run_id}"):
            self.outputs.text(spark[0], "txt", "model_info", "spark_pca", "metadata")
            self.outputs.text(spark[1], "parquet", "model_info", "spark_pca", "data")

    def write_features(self, ordered: DataFrame, errors: DataFrame) -> None:
        if self.options.parquet:
            self.outputs.parquet(ps.features_to_lists(ordered), "features/parquet", "features")
        if self.options.csv:
            self.outputs.csv(ps.features_to_text(ordered), "features/csv", "features")
        self.outputs.csv(ordered.select("path", "label"), "metadata")
        columns = ("path", "label", "stage", "reason", "message")
        one_part = errors.select(*columns).repartition(1)
        self.outputs.csv(one_part.sortWithinPartitions("path"), "errors")

    def publish_run_info(self, counts: _Counts) -> None:
        run_info = _core.run_info_json(
            run_id=self.outputs.run_id,
            input=self.files.plain(self.source),
            output=self.files.plain(self.output),
            options=self.options,
            engine=self.extractor.engine,
            threads=self.spark.sparkContext.defaultParallelism,
            rejects_by_reason=counts.rejects,
            skips_by_reason=counts.skips,
            listed=counts.listed,
            rows=counts.rows,
            seconds=self.seconds,
        )
        self.outputs.text(run_info, "json", "run_info")

    @contextlib.contextmanager
    def stage(self, name: str):
        started = time.monotonic()
        log.info("%s ...", name)
        with ps.described(self.spark, name):
            yield
        self.seconds[name] = time.monotonic() - started
        log.info("%s: %.1f s", name, self.seconds[name])


def _missing(files: DataFrame, extracted: DataFrame) -> DataFrame:
    return files.join(extracted.select("path"), "path", "left_anti")


def _lost(files: DataFrame, extracted: DataFrame) -> DataFrame:
    """Rejects for the files that Spark could not read, or was not to."""
    missing = _missing(files, extracted)
    large = F.col("length") > _core.max_file_bytes
    return missing.select(
        "path",
        ps.label(F.col("path")).alias("label"),
        F.lit("read").alias("stage"),
        F.when(large, "too_large").otherwise("unreadable").alias("reason"),
        F.when(large, ps.too_large(F.col("length")))
        .otherwise("listed, but cannot be read")
        .alias("message"),
    )


def _in_parallel(*functions):
    """Calls them at once, each with a thread of Spark's own properties; raises what they raise."""
    with concurrent.futures.ThreadPoolExecutor(len(functions)) as pool:
        for call in [pool.submit(inheritable_thread_target(call)) for call in functions]:
            call.result()
