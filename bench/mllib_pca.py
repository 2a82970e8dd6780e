"""PCA in Spark local[2], MLlib's beside pomona.spark's and the job's: N x 1280 features.

    mllib_pca.py [--rows N] [--components K] [--cores N] [--memory SIZE] [--scratch FOLDER]

| case | what |
| --- | --- |
| fit | PCA(k).fit on rows that are cached as MLlib's vectors |
| transform | transform of the same rows, path and vector written as Parquet |

pomona.spark's side has the same rows as bytes of floats, cached as well; it needs the package. The
job makes features of as many sample images; its fit are its stages `merge`, the solver and the
workers' seconds for moments, spread over the cores, its transform is the stage `projections`.

The rows are random but correlated: 64 hidden factors, mixed, with noise, negative values cut off as
the network's last activation does. A fit of 2,000 rows comes first and is not counted.
"""

import argparse
import os
import pathlib
import shutil
import sys
import tempfile
import time

os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
os.environ.setdefault("PYSPARK_PYTHON", sys.executable)

import measure
import numpy as np
import pomona.spark
import pyarrow as pa
from pomona import _spark_executor, spark_run
from pyspark.ml.feature import PCA
from pyspark.ml.functions import array_to_vector
from pyspark.sql import SparkSession

FEATURES = 1280
FACTORS = 64


def features(batches):
    """The rows of the ids in `batches`: the same values wherever they are computed."""
    mix = np.random.default_rng(0).normal(size=(FACTORS, FEATURES))
    for batch in batches:
        ids = batch["id"].to_numpy()
        random = np.random.default_rng(1 + int(ids[0]))
        rows = random.normal(size=(len(ids), FACTORS)) @ mix / np.sqrt(FACTORS)
        rows = np.maximum(rows + 0.1 * random.normal(size=rows.shape), 0).astype(np.float32)
        lists = pa.FixedSizeListArray.from_arrays(rows.ravel(), FEATURES)
        yield pa.RecordBatch.from_arrays(
            [batch["id"].cast(pa.string()), lists.cast(pa.list_(pa.float32()))],
            ["path", "features"],
        )


def packed(batches):
    """The rows of features() as extract_features(vectors="binary") gives them."""
    for batch in features(batches):
        yield batch.set_column(1, "features", pomona.spark.packed(batch["features"]))


def the_job(spark, args, output):
    """Seconds of fit and transform in the job on Spark."""
    program = pathlib.Path(sys.executable).with_name("pomona")
    tree = measure.sample(program, args.scratch, args.rows)
    shutil.rmtree(output, ignore_errors=True)
    seconds = {}

    class Executor(_spark_executor.SparkExecutor):
        def __call__(self, text, stage, tasks, deliver):
            start = time.perf_counter()
            super().__call__(text, stage, tasks, deliver)
            seconds[stage] = time.perf_counter() - start

    spark_run.SparkExecutor = Executor  # type: ignore[misc]
    spark_run.run(spark, tree, output, formats="parquet", pca_components=args.components)
    info = measure.run_info(output)
    moments = info["worker_seconds"]["reduce"] / args.cores
    return moments + info["seconds"]["fit"], seconds["projections"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=67_692, help="default: %(default)s")
    parser.add_argument("--components", type=int, default=50, help="default: %(default)s")
    parser.add_argument("--cores", type=int, default=2, help="default: %(default)s")
    parser.add_argument("--memory", default="6g", help="of the driver; default: %(default)s")
    parser.add_argument("--scratch", default=os.path.join(tempfile.gettempdir(), "pomona_bench"))
    args = parser.parse_args()

    spark = (
        SparkSession.builder.appName("MLlib PCA")
        .master(f"local[{args.cores}]")
        .config("spark.driver.memory", args.memory)
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.sql.execution.arrow.maxRecordsPerBatch", 1000)
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("ERROR")

    def vectors(rows):
        ids = spark.range(0, rows, numPartitions=4 * args.cores)
        frame = ids.mapInArrow(features, "path string, features array<float>")
        frame = frame.select("path", array_to_vector("features").alias("vector")).cache()
        frame.count()
        return frame

    output = os.path.join(args.scratch, "mllib_pca")

    def timed(frame):
        shutil.rmtree(output, ignore_errors=True)
        start = time.perf_counter()
        model = PCA(k=args.components, inputCol="vector", outputCol="pca_features").fit(frame)
        fitted = time.perf_counter()
        rows = model.transform(frame).select("path", "pca_features")
        rows.write.parquet(f"file://{os.path.abspath(output)}")
        return fitted - start, time.perf_counter() - fitted

    def arrays(rows):
        ids = spark.range(0, rows, numPartitions=4 * args.cores)
        frame = ids.mapInArrow(packed, "path string, features binary").cache()
        frame.count()
        return frame

    def ours(frame):
        shutil.rmtree(output, ignore_errors=True)
        start = time.perf_counter()
        pca = pomona.spark.fit_pca(frame, args.components)
        fitted = time.perf_counter()
        pomona.spark.transform(frame, pca).write.parquet(f"file://{os.path.abspath(output)}")
        return fitted - start, time.perf_counter() - fitted

    fit, transform = the_job(spark, args, output)
    print(f"the job, {args.rows} rows: fit {fit:.2f} s, transform {transform:.2f} s", flush=True)
    for name, run, rows in (("pomona.spark", ours, arrays), ("MLlib", timed, vectors)):
        run(rows(2000))
        frame = rows(args.rows)
        fit, transform = run(frame)
        frame.unpersist()
        print(f"{name}, {args.rows} rows: fit {fit:.2f} s, transform {transform:.2f} s", flush=True)
    shutil.rmtree(output, ignore_errors=True)
    spark.stop()


if __name__ == "__main__":
    main()
