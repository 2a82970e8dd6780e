"""The job on Spark local[2] beside the program with two threads, in turns, on a sample tree.

    spark_job.py [--images N] [--rounds N] [--threads N] [--memory SIZE] [--scratch FOLDER]

The JVM is up and warm when the clock starts (a run over 200 images comes first). Needs the package
and PySpark 3.5 or 4. Also prints the CPU time of the JVM, without the Python workers', beside that
for as many stages and tasks with nothing to do, and what the driver's heap holds after a
collection.
"""

import argparse
import os
import pathlib
import statistics
import sys
import tempfile
import time
from typing import ClassVar

os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
os.environ.setdefault("PYSPARK_PYTHON", sys.executable)

import measure
from pomona import _spark_executor, spark_run
from pyspark.sql import SparkSession


class Executor(_spark_executor.SparkExecutor):
    """Remembers what the job asked for."""

    stages: ClassVar[list] = []  # of the last one

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.stages.clear()

    def __call__(self, job, stage, tasks, deliver):
        self.stages.append((stage, tasks))
        super().__call__(job, stage, tasks, deliver)


def run_empty(context):
    """As many tasks as the job had, which do nothing."""

    def do_nothing(number, *, job, stage, weights, results):
        results.add([""])

    task, _spark_executor.run_task = _spark_executor.run_task, do_nothing
    for stage, tasks in Executor.stages:
        _spark_executor.SparkExecutor(context)("", stage, tasks, lambda _: None)
    _spark_executor.run_task = task


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=10_000, help="default: %(default)s")
    parser.add_argument("--rounds", type=int, default=3, help="default: %(default)s")
    parser.add_argument("--threads", type=int, default=2, help="default: %(default)s")
    parser.add_argument("--memory", default="2g", help="of the driver; default: %(default)s")
    parser.add_argument("--scratch", default=os.path.join(tempfile.gettempdir(), "pomona_bench"))
    args = parser.parse_args()
    program = pathlib.Path(sys.executable).with_name("pomona")

    spark = (
        SparkSession.builder.master(f"local[{args.threads}]")
        .config("spark.driver.memory", args.memory)
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("ERROR")
    output = os.path.join(args.scratch, "spark_job")

    jvm = spark.sparkContext._jvm
    pid = jvm.java.lang.ProcessHandle.current().pid()

    spark_run.SparkExecutor = Executor  # type: ignore[misc]

    def on_spark(tree):
        measure.fresh(output)
        start, cpu = time.perf_counter(), measure.cpu_seconds(pid)
        spark_run.run(spark, tree, output, run_id="bench")
        return time.perf_counter() - start, measure.cpu_seconds(pid) - cpu

    def alone(tree):
        measure.fresh(output)
        command = [program, "run", tree, output, "--threads", args.threads, "--quiet"]
        return measure.run(command).seconds

    on_spark(measure.sample(program, args.scratch, 200))
    tree = measure.sample(program, args.scratch, args.images)
    jobs, programs, jvms, empties = [], [], [], []
    for _ in range(args.rounds):
        programs.append(alone(tree))
        seconds, cpu = on_spark(tree)
        jobs.append(seconds)
        jvms.append(cpu)
        cpu = measure.cpu_seconds(pid)
        run_empty(spark.sparkContext)
        empties.append(measure.cpu_seconds(pid) - cpu)
        print(measure.run_info(output)["seconds"], flush=True)
    heap = jvm.java.lang.Runtime.getRuntime()
    jvm.java.lang.System.gc()
    used = (heap.totalMemory() - heap.freeMemory()) / 2**20
    measure.fresh(output)
    spark.stop()
    print(measure.machine(args.threads))
    print(
        f"{args.images} images: program {measure.spread(programs)} s,"
        f" Spark {measure.spread(jobs)} s, of which the JVM's CPU {measure.spread(jvms)} s,"
        f" {measure.spread(empties)} s of it for as many empty tasks"
    )
    ratio = statistics.median(programs) / statistics.median(jobs)
    print(f"Spark has {ratio:.2f} of the program's throughput; driver's heap {used:.0f} MiB")


if __name__ == "__main__":
    main()
