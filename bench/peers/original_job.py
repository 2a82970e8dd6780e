"""The job that Pomona replaces, rebuilt in its structure, to measure its Spark job against.

    original_job.py INPUT OUTPUT WEIGHTS.safetensors [--labels GLOB] [--components K]
                    [--cores N] [--memory SIZE]

Spark, TensorFlow and MLlib as the original puts them together, slow parts included: the file list
by a glob, a scalar pandas UDF that builds Keras' MobileNetV2 for each Arrow batch from broadcast
weights and predicts one image at a time, frames for good and bad images that both evaluate it, PCA
over vectors made by a Python UDF, CSV texts made by Python UDFs. It writes the original's folders.

Different: the weights come from Pomona's file (the same tensors), the arguments are options, labels
take the place of modes, and it runs on this machine alone. Every picture must be RGB or convert to
it, as in the original; what fails is counted and written to errors.
"""

import argparse
import io
import json
import os
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
os.environ.setdefault("PYSPARK_PYTHON", sys.executable)

import numpy as np
import pandas as pd
from pyspark.ml.feature import PCA
from pyspark.ml.linalg import Vectors, VectorUDT
from pyspark.sql import SparkSession
from pyspark.sql import functions as sf
from safetensors import safe_open


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("input", help="a folder with one folder for each label")
    parser.add_argument("output")
    parser.add_argument("weights")
    parser.add_argument("--labels", default="*", help="a glob; default: %(default)s")
    parser.add_argument("--components", type=int, default=50, help="default: %(default)s")
    parser.add_argument("--cores", type=int, default=2, help="default: %(default)s")
    parser.add_argument("--memory", default="8g", help="of the driver; default: %(default)s")
    args = parser.parse_args()

    spark = (
        SparkSession.builder.appName("original job")
        .master(f"local[{args.cores}]")
        .config("spark.driver.memory", args.memory)
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("WARN")

    started = time.perf_counter()
    images = list_images(spark, args.input, args.labels)
    listed = time.perf_counter()
    features, errors, rows = extract(spark, images, args.weights)
    extracted = time.perf_counter()
    projected, model = reduce(features, args.components)
    reduced = time.perf_counter()
    write(spark, args.output, projected, errors, model, rows)
    written = time.perf_counter()
    spark.stop()

    # From the first line that uses Spark, its JVM being up.
    print(f"listing   {listed - started:8.1f} s")
    print(f"features  {extracted - listed:8.1f} s  {rows / (extracted - listed):.2f} images/s")
    print(f"PCA       {reduced - extracted:8.1f} s")
    print(f"outputs   {written - reduced:8.1f} s")
    print(
        f"whole     {written - started:8.1f} s  {rows / (written - started):.2f} images/s, {rows}"
    )


def list_images(spark, folder, labels):
    training = os.path.join(folder, "Training")
    root = training if os.path.isdir(training) else folder
    images = spark.read.format("binaryFile").load(f"file://{os.path.abspath(root)}/{labels}/*.jpg")
    images.count()
    images = images.withColumn("label", sf.element_at(sf.split("path", "/"), -2))
    images.select("label").distinct().count()
    return images


def read_weights(path):
    """The tensors in the order of Keras' get_weights(), which is that of the file."""
    with safe_open(path, "np") as file:
        return [file.get_tensor(name) for name in file.offset_keys()]


def extract(spark, images, weights):
    """Frames of the images with features and of those without, and the number of the former."""
    broadcast = spark.sparkContext.broadcast(read_weights(weights))

    @sf.pandas_udf("array<float>")
    def features(contents: pd.Series) -> pd.Series:
        from PIL import Image
        from tensorflow.keras.applications.mobilenet_v2 import MobileNetV2, preprocess_input

        model = MobileNetV2(weights=None, include_top=False, pooling="avg")
        model.set_weights(broadcast.value)

        def one(content):
            try:
                picture = Image.open(io.BytesIO(content)).convert("RGB").resize((224, 224))
                batch = preprocess_input(np.asarray(picture, np.float32)[np.newaxis])
                return model.predict(batch, verbose=0)[0].tolist()
            except Exception:  # as the original: whatever it is, the image has no features
                return None

        return contents.map(one)

    frame = images.withColumn("features", features("content"))
    good = frame.where(sf.col("features").isNotNull()).cache()
    bad = frame.where(sf.col("features").isNull()).cache()
    rows = good.count()
    print(f"{rows} images, {bad.count()} errors")
    return good, bad, rows


def reduce(features, components):
    to_vector = sf.udf(Vectors.dense, VectorUDT())
    vectors = features.withColumn("vector", to_vector("features")).cache()
    vectors.count()
    model = PCA(k=components, inputCol="vector", outputCol="pca_features").fit(vectors)
    projected = model.transform(vectors).cache()
    projected.count()
    return projected, model


def write(spark, output, frame, errors, model, rows):
    run = time.strftime("%Y%m%d_%H%M%S")
    output = f"file://{os.path.abspath(output)}"
    text = sf.udf(lambda numbers: ",".join(str(float(number)) for number in numbers))

    def csv(columns, name):
        columns.write.csv(f"{output}/{name}_{run}", header=True)

    keys = frame.select("path", "label")
    frame.select("path", "label", "features").write.parquet(
        f"{output}/features/parquet/features_{run}"
    )
    csv(
        frame.select("path", "label", text("features").alias("features_string")),
        "features/csv/features",
    )
    frame.select("path", "label", "pca_features").write.parquet(f"{output}/pca/parquet/pca_{run}")
    csv(
        frame.select("path", "label", text("pca_features").alias("pca_features_string")),
        "pca/csv/pca",
    )
    csv(keys, "metadata/metadata")

    ratios = model.explainedVariance.toArray()
    cumulative = np.cumsum(ratios)
    info = {
        "timestamp": run,
        "pca_components": len(ratios),
        "original_dimensions": model.pc.numRows,
        "reduced_dimensions": len(ratios),
        "total_variance_explained": float(cumulative[-1]),
        "variance_by_component": ratios.tolist(),
        "cumulative_variance": cumulative.tolist(),
        "num_images_processed": rows,
    }
    lines = spark.createDataFrame([(json.dumps(info, indent=2),)], "value string")
    lines.write.text(f"{output}/model_info/model_info_{run}")
    variance = [(i + 1, float(ratios[i]), float(cumulative[i])) for i in range(len(ratios))]
    names = "component int, variance_explained float, cumulative_variance float"
    csv(spark.createDataFrame(variance, names), "model_info/variance")
    if errors.count():
        csv(errors.select("path", "label"), "errors/errors")


if __name__ == "__main__":
    main()
