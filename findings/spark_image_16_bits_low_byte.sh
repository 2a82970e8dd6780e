#!/bin/bash
# PySpark 4.1.4's source of images gives the low bytes of 16-bit gray, and calls them a picture of 8 bits.
#
# Expected: spark.read.format("image"), whose `data` is "OpenCV-compatible" and has 8 bits a sample, keeps
# of 16 bits the upper 8, as OpenCV does and as it does itself of colors; or it has the file as invalid,
# as it has one that it cannot read.
# Seen: of gray PNGs and TIFFs (depth in millimetres, cameras of 12 bits, plates of microscopes) it keeps
# the lower 8, as CV_8UC1: the number wraps 16 or 256 times from black to white, multiples of 256 are all
# black, and dropInvalid drops nothing. The same picture as RGB is right, and so is gray that was made of 8
# bits (times 257), which is what one tries first. 3.5.7 does the same. The format "binaryFile", and a
# decoder of one's own, is the cure. (databricks/spark-deep-learning#154 asks for more than 8 bits.)
#
# Needs Java 17. Prints for each picture what Spark and OpenCV make of it. Exits with 1 where this is no
# longer so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  pyspark==4.1.4 opencv-python-headless==5.0.0.93 numpy==2.4.6
mkdir "$folder/pictures"
cd "$folder"
SPARK_LOCAL_IP=127.0.0.1 venv/bin/python - 2>warnings <<'PYTHON' || { tail -n 20 warnings; exit 1; }
import os
import sys

import cv2
import numpy as np
import pyspark
from pyspark.sql import SparkSession

print("pyspark", pyspark.__version__, "OpenCV", cv2.__version__)
full = np.arange(16, dtype=np.uint16) * 4096  # evenly from black to nearly white
depth = np.arange(1000, 5000, 250, dtype=np.uint16)  # a floor from 1 to 5 m
of_8_bits = np.arange(16, dtype=np.uint16) * 17 * 257
pictures = {
    "gray.png": full,
    "gray.tif": full,
    "depth_mm.png": depth,
    "rgb.png": np.stack([full] * 3, axis=-1),
    "gray_times_257.png": of_8_bits,
}
for name, row in pictures.items():
    plain = [cv2.IMWRITE_TIFF_COMPRESSION, cv2.IMWRITE_TIFF_COMPRESSION_NONE]
    assert cv2.imwrite(f"pictures/{name}", np.stack([row] * 8), plain)

spark = (
    SparkSession.builder.master("local[1]")
    .config("spark.ui.enabled", "false")
    .config("spark.driver.bindAddress", "127.0.0.1")
    .getOrCreate()
)
spark.sparkContext.setLogLevel("OFF")
images = spark.read.format("image").option("dropInvalid", True).load("pictures").collect()
read = {os.path.basename(row.image.origin): row.image for row in images}
as_seen = len(read) == len(pictures)
for name, row in pictures.items():
    image = read[name]
    given = np.frombuffer(image.data, np.uint8).reshape(image.height, image.width, image.nChannels)
    given = given[0, :, 0].astype(int)
    opencv = cv2.imread(f"pictures/{name}", cv2.IMREAD_GRAYSCALE)[0].astype(int)
    samples = row.reshape(16, -1)[:, 0].astype(int)
    low, right = np.array_equal(given, samples % 256), np.abs(given - samples / 257).max() < 1
    print(f"{name}, mode {image.mode}:")
    print("  16 bits", *samples)
    print("  Spark  ", *given, "(low bytes)" if low and not right else "")
    print("  OpenCV ", *opencv)
    as_seen &= right if name in ("rgb.png", "gray_times_257.png") else low and not right
    as_seen &= np.abs(opencv - samples / 257).max() < 1
sys.exit(not as_seen)
PYTHON
