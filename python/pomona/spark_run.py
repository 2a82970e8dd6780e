"""The whole job on Spark: what `pomona run` does on one machine, with the same outputs.

The core on the driver plans, counts and publishes. Its tasks go to the executors by number, where
the core reads images and writes results by itself, so that no image passes through Spark.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import tempfile
from collections.abc import Iterator

from pyspark import SparkContext
from pyspark.sql import SparkSession

from . import OutputBusy, TooManyRejects, _core
from ._hadoop import Files, all_of, in_one_line
from ._progress import Lines
from ._spark_executor import SparkExecutor, classic_context, explain

log = logging.getLogger("pomona")

# Those of the program.
_FAILED, _TOO_MANY_REJECTS, _OUTPUT_BUSY, _INTERRUPTED = 1, 3, 4, 130

# What the core reaches without Hadoop, and the bucket in it.
_S3 = re.compile("s3[an]?://([^/]*)", re.IGNORECASE)

# AWS' own servers, which the core finds by the bucket's region.
_AWS = re.compile(r"(https?://)?s3([.-][a-z0-9-]+)?\.amazonaws\.com(\.cn)?/?", re.IGNORECASE)

# A cluster that grows says only what it has at the start; with this many tasks it has a reason to.
_CORES_OF_A_GROWING_CLUSTER = 64


def main(source: str, output: str, options: dict) -> int:
    """Runs the job in a session of its own; returns the exit code of `pomona run`."""
    # Our own lines only: py4j would log its connections.
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s pomona: %(message)s"))
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    if not os.access(os.path.expanduser("~"), os.W_OK):  # a driver in a container of YARN
        os.environ.setdefault("XDG_CACHE_HOME", tempfile.gettempdir())
    try:
        with SparkSession.builder.appName("pomona").getOrCreate() as spark:
            classic_context(spark, "the job").setLogLevel("WARN")
            summary = run(spark, source, output, **options)
    except TooManyRejects as error:
        log.error("%s", error)
        return _TOO_MANY_REJECTS
    except OutputBusy as error:
        log.error("%s", error)
        return _OUTPUT_BUSY
    except KeyboardInterrupt:
        log.error("interrupted")
        return _INTERRUPTED
    except (ValueError, LookupError, OSError, MemoryError, RuntimeError) as error:
        log.error("%s", error)
        return _FAILED
    except Exception as error:  # of Spark or py4j: one line, as for all else
        text = all_of(error)
        failed = "Job aborted" in text or "Traceback" in text
        log.error("%s", explain("the job", text) if failed else in_one_line(error))
        return _FAILED
    print(json.dumps(summary))
    return 0


def run(spark: SparkSession, source: str, output: str, **options) -> dict:
    """Runs the job; the options are those of `pomona.run`. Returns counts and seconds."""
    context = classic_context(spark, "the job")
    files = Files(spark)
    ways = [_core_path(files, path) for path in (source, output)]
    if None in ways:
        from . import _spark_dataframes

        log.warning(
            "only Hadoop reaches %s: Spark itself carries the images and writes the outputs, which "
            "is slower (docs/spark.md)",
            " and ".join(path for path, way in zip((source, output), ways, strict=True) if not way),
        )
        return _spark_dataframes.run(spark, source, output, options)
    paths = [path for path in ways if path is not None]
    given = _core.RunOptions(**options)
    buckets = [found[1] for path in paths if (found := _S3.match(path))]
    if buckets and not given.s3_endpoint:
        options["s3_endpoint"] = _s3_endpoint(context._jsc.hadoopConfiguration(), buckets)
    progress = Lines(lambda line: log.info("%s", line))
    summary = _core.run(
        paths[0],
        paths[1],
        progress,
        log.warning,
        options,
        executor=SparkExecutor(context, given.weights),
        parallelism=_parallelism(context),
    )
    progress.finish()
    log.info(
        "run %s: %d images, %d rejects, %d skips",
        *(summary.run_id, summary.rows, summary.rejects, summary.skips),
    )
    log.info("%s", " ".join(_metrics(summary)))
    return _described(summary)


def _metrics(summary: _core.RunSummary) -> Iterator[str]:
    """What the log tells of the metrics (docs/metrics.md), by their names."""
    yield f"pomona_items_listed_total={summary.listed}"
    yield f"pomona_images_total={summary.rows}"
    for name, counts in (
        ("rejects", summary.rejects_by_reason),
        ("skips", summary.skips_by_reason),
    ):
        for reason, count in counts.items():
            yield f'pomona_{name}_total{{reason="{reason}"}}={count}'
    yield f"pomona_items_resumed_total={summary.resumed}"
    yield f"pomona_images_reused_total={summary.reused}"
    yield f"pomona_peak_memory_bytes={summary.peak_memory_bytes}"


def _described(summary: _core.RunSummary) -> dict:
    names = ("run_id", "listed", "rows", "rejects", "skips", "resumed", "reused", "seconds")
    return {name: getattr(summary, name) for name in names}


def _core_path(files: Files, path: str) -> str | None:
    """The path as the core takes it; None where only Hadoop can follow it."""
    if not _S3.match(path):
        path = files.qualified(path)  # a bare path lies where Hadoop's default file system is
    if path.startswith("file:"):
        return files.plain(path)
    return path if _S3.match(path) else None


def _s3_endpoint(hadoop, buckets: list[str]) -> str:
    """The server that Hadoop's settings name for the buckets, else this process' environment."""
    if hadoop.get("fs.s3a.access.key"):
        log.warning(
            "fs.s3a.access.key is not used: credentials come from AWS' chain on each node, such as "
            "its role or spark.executorEnv.AWS_ACCESS_KEY_ID"
        )
    found = set()
    for bucket in buckets:
        endpoint = hadoop.get(f"fs.s3a.bucket.{bucket}.endpoint") or hadoop.get("fs.s3a.endpoint")
        if not endpoint or _AWS.fullmatch(endpoint):
            endpoint = ""
        elif "://" not in endpoint and not hadoop.getBoolean("fs.s3a.connection.ssl.enabled", True):
            endpoint = f"http://{endpoint}"
        found.add(endpoint)
    if len(found) > 1:
        raise ValueError(
            f"INPUT and OUTPUT are on two S3 servers ({', '.join(map(repr, sorted(found)))}); one "
            "at a time can be reached: use --s3-endpoint"
        )
    environment = (os.environ.get(f"AWS_ENDPOINT_URL{of}", "") for of in ("_S3", ""))
    return next(filter(None, [*found, *environment]), "")


def _parallelism(context: SparkContext) -> int:
    """How many tasks can run at once."""
    conf = context.getConf()
    grows = conf.get("spark.dynamicAllocation.enabled", "false") == "true"
    if grows and not conf.contains("spark.default.parallelism"):
        return max(context.defaultParallelism, _CORES_OF_A_GROWING_CLUSTER)
    return context.defaultParallelism
