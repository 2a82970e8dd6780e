"""near_pairs_job.py FEATURES RESULT: writes the near pairs of a run's features, by small blocks."""

import sys

import pomona.spark
from pomona import _spark_pairs
from pyspark.sql import SparkSession


def main(features, result):
    spark = SparkSession.builder.getOrCreate()
    _spark_pairs._BLOCK_ROWS = 200
    rows = spark.read.parquet(f"file://{features}").repartition(3)
    pomona.spark.near_pairs(rows, 0.98).write.parquet(f"file://{result}")
    spark.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
