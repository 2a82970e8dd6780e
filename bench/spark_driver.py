"""What the driver of the job on Spark holds, by the number of files: does it grow with them?

    spark_driver.py [--items N...] [--scratch FOLDER]

A tree of 300 images and of links to a file that is none, `local[2]`, a process for each size.
Prints the largest resident memory of the driver's Python and what its JVM's heap holds after a
collection. Needs the package and PySpark 3.5 or 4.
"""

import argparse
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
os.environ.setdefault("PYSPARK_PYTHON", sys.executable)

import measure

IMAGES = 300
LABELS = 100
LINKS = 50_000  # of one file: some file systems allow no more than 65,000


def make_tree(program, folder, items):
    measure.run([program, "sample", folder, "--images", IMAGES])
    others = items - IMAGES
    folder = os.path.join(folder, "Training")
    files = []
    for i in range(0, others, LINKS):
        files.append(os.path.join(folder, f"notes_{i}.txt"))
        pathlib.Path(files[-1]).write_text("no image")
    for label in range(LABELS):
        os.mkdir(os.path.join(folder, f"label_{label:03d}"))
    for i in range(others - len(files)):
        os.link(files[i // LINKS], os.path.join(folder, f"label_{i % LABELS:03d}", f"{i:07d}.txt"))


def run_job(tree, output):
    from pomona import spark_run
    from pyspark.sql import SparkSession

    spark = (
        SparkSession.builder.master("local[2]")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("ERROR")
    start = time.perf_counter()
    summary = spark_run.run(spark, tree, output, run_id="bench")
    seconds = time.perf_counter() - start
    jvm = spark.sparkContext._jvm.java.lang
    jvm.System.gc()
    heap = jvm.Runtime.getRuntime()
    used = (heap.totalMemory() - heap.freeMemory()) / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    spark.stop()
    print(
        f"{summary['listed']} files, {summary['rows']} rows, {seconds:.0f} s:"
        f" driver's Python {peak:.0f} MiB, heap {used:.0f} MiB"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, nargs="+", default=[10_000, 1_000_000])
    parser.add_argument("--scratch", default=os.path.join(tempfile.gettempdir(), "pomona_bench"))
    parser.add_argument("--job", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.job:
        run_job(*args.job)
        return
    program = pathlib.Path(sys.executable).with_name("pomona")
    tree, output = (os.path.join(args.scratch, name) for name in ("driver_tree", "driver_output"))
    for items in args.items:
        for folder in (tree, output):
            measure.fresh(folder)
        make_tree(program, tree, items)
        subprocess.run([sys.executable, __file__, "--job", tree, output], check=True)
    for folder in (tree, output):
        measure.fresh(folder)


if __name__ == "__main__":
    main()
