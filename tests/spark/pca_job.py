"""pca_job.py OUTPUT RUN_ID RESULT: loads a run's spark_pca and projects its features by it."""

import sys

import numpy
from pyspark.ml.feature import PCAModel
from pyspark.ml.functions import array_to_vector, vector_to_array
from pyspark.sql import SparkSession


def main(output, run_id, result):
    spark = SparkSession.builder.getOrCreate()
    model = PCAModel.load(f"file://{output}/model_info/spark_pca_{run_id}")
    assert model.uid == f"pca_{run_id}"
    assert (model.getInputCol(), model.getOutputCol()) == ("features", "pca_features")
    features = spark.read.parquet(f"file://{output}/features/parquet/features_{run_id}")
    vectors = features.withColumn("features", array_to_vector("features"))
    projected = model.transform(vectors).orderBy("path")
    rows = projected.select(vector_to_array("pca_features")).collect()
    numpy.savez(
        result,
        projected=numpy.array([row[0] for row in rows]),
        explained=model.explainedVariance.toArray(),
        k=model.getK(),
    )
    # What it writes itself, it reads; so does a pipeline that holds it.
    model.write().overwrite().save(f"file://{result}.copy")
    assert PCAModel.load(f"file://{result}.copy").pc == model.pc
    spark.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
