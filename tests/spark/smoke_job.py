"""A job for test_servers.py: reads the files of a folder, writes path and length as Parquet.

smoke_job.py INPUT OUTPUT PARTITIONS [SECONDS a file takes]
"""

import sys
import time

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import SparkSession


def main(source, output, partitions, seconds="0"):
    pause = float(seconds)

    def lengths(batches):
        for batch in batches:
            time.sleep(pause * batch.num_rows)
            yield pa.RecordBatch.from_arrays(
                [batch["path"], pc.binary_length(batch["content"])], ["path", "length"]
            )

    spark = SparkSession.builder.appName("smoke").getOrCreate()
    spark.conf.set("spark.sql.files.minPartitionNum", partitions)
    files = spark.read.format("binaryFile").option("pathGlobFilter", "*.bin").load(source)
    rows = files.mapInArrow(lengths, "path string, length int")
    rows.write.parquet(output)
    spark.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
