"""fit_job.py ROWS OUTPUT: fits a PCA on made-up rows, projects them; prints what it took."""

import resource
import sys

import numpy
import pomona.spark
import pyarrow
from pyspark.sql import SparkSession


def features(batches):
    for batch in batches:
        generator = numpy.random.default_rng(int(batch["id"][0].as_py()))
        numbers = generator.random((len(batch), 1280), "f4")
        lists = pyarrow.FixedSizeListArray.from_arrays(numbers.ravel(), 1280)
        yield pyarrow.record_batch(
            {
                "path": batch["id"].cast(pyarrow.string()),
                "features": lists.cast(pyarrow.list_(pyarrow.float32())),
            }
        )


rows, output = int(sys.argv[1]), sys.argv[2]
batch_rows = "spark.sql.execution.arrow.maxRecordsPerBatch"
spark = SparkSession.builder.config(batch_rows, 1000).getOrCreate()
numbers = spark.range(rows, numPartitions=256)
frame = numbers.mapInArrow(features, "path string, features array<float>")
pca = pomona.spark.fit_pca(frame, 50)
pomona.spark.transform(frame, pca).write.parquet(output)
print("rows", pca.n_samples_, spark.read.parquet(output).count())
print("python MiB", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10)
