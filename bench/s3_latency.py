"""The job on a tree on S3 at several latencies, beside the same tree on local disk.

Starts MinIO and the tests' proxy, which waits before it hands on each request. Both share the
program's cores; so beside the rate of the extract stage this prints what it would be had their CPU
time, spread over the cores, been taken elsewhere, and the program's own CPU time and the share of
the workers' time that they waited for bytes, which they do not disturb.

With --spark the job runs in Spark local[2], its JVM up and warm; needs the package and PySpark, and
gives no CPU time of the program.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

sys.path[:0] = [str(pathlib.Path(__file__).parents[1] / "tests" / each) for each in ("", "s3")]

import measure  # noqa: E402
import pyarrow.fs  # noqa: E402
import servers  # noqa: E402
from proxy import Proxy  # noqa: E402

RUN_ID = "bench"
CORES = len(os.sched_getaffinity(0))


def pid_of_minio():
    """The only one that this process started."""
    children = pathlib.Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    [found] = [each for each in children if "minio" in os.readlink(f"/proc/{each}/exe")]
    return found


class Program:
    def __init__(self, path):
        self.path = path

    def __call__(self, tree, output, environment, endpoint):
        """CPU seconds of one run."""
        job = [self.path, "run", tree, output, "--run-id", RUN_ID, "--quiet"]
        if endpoint:
            job += ["--s3-endpoint", endpoint]
        process = subprocess.Popen([*job, "--formats", "parquet"], env=os.environ | environment)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            raise SystemExit(f"{job} failed")
        return usage.ru_utime + usage.ru_stime


class Spark:
    def __init__(self, environment):
        os.environ.update(environment | {"SPARK_LOCAL_IP": "127.0.0.1"})
        os.environ["PYSPARK_PYTHON"] = sys.executable
        from pyspark.sql import SparkSession

        self.session = (
            SparkSession.builder.master("local[2]")
            .config("spark.driver.bindAddress", "127.0.0.1")
            .config("spark.ui.enabled", "false")
            .config("spark.ui.showConsoleProgress", "false")
            .getOrCreate()
        )
        self.session.sparkContext.setLogLevel("ERROR")

    def __call__(self, tree, output, environment, endpoint):
        from pomona import spark_run

        options = {"run_id": RUN_ID, "formats": ["parquet"], "s3_endpoint": endpoint}
        spark_run.run(self.session, str(tree), str(output), **options)
        return float("nan")


def run(job, tree, output, environment, endpoint, minio):
    """Images a second of the extract stage, the same without the servers, CPU seconds, waiting."""
    before = measure.cpu_seconds(minio) + time.process_time()
    cpu = job(tree, output, environment, endpoint)
    servers_seconds = measure.cpu_seconds(minio) + time.process_time() - before if endpoint else 0
    info = json.loads((output / f"run_info/run_info_{RUN_ID}/part-00000.json").read_text())
    workers = info["worker_seconds"]
    rate = info["images_per_second"]
    alone = 1 / (1 / rate - servers_seconds / CORES / info["counts"]["rows"])
    return rate, alone, cpu, workers["read"] / sum(workers.values())


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tree", help="a local folder of labelled images")
    parser.add_argument("--latency", type=int, nargs="*", default=[0, 5, 20, 50, 100], help="ms")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--program", default="build/pomona")
    parser.add_argument("--spark", action="store_true", help="the job on Spark, not the program")
    arguments = parser.parse_args()

    figures: dict[str, list] = {}
    with tempfile.TemporaryDirectory() as scratch, servers.minio(pathlib.Path(scratch)) as server:
        minio = pid_of_minio()
        server.file_system().create_dir("bench")
        pyarrow.fs.copy_files(
            arguments.tree, "bench/in", destination_filesystem=server.file_system()
        )
        environment = server.environment()
        job = Spark(environment) if arguments.spark else Program(arguments.program)

        def add(name, tree, number, endpoint=""):
            output = pathlib.Path(scratch) / f"{name}-{number}"
            figures.setdefault(name, []).append(
                run(job, tree, output, environment, endpoint, minio)
            )

        for number in range(arguments.rounds):
            add("local", arguments.tree, number)
            for latency in arguments.latency:
                with Proxy(server.endpoint, latency=latency / 1000) as proxy:
                    add(f"{latency} ms", "s3://bench/in", number, proxy.endpoint)

    local_rate, _, local_cpu, _ = map(statistics.median, zip(*figures["local"], strict=True))
    print(
        "| | images/s | of local | without the servers' CPU | CPU seconds | of local "
        "| waiting for bytes |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name, runs in figures.items():
        rate, alone, cpu, waiting = map(statistics.median, zip(*runs, strict=True))
        print(
            f"| {name} | {rate:.0f} | {rate / local_rate:.2f} | {alone / local_rate:.2f} "
            f"| {cpu:.1f} | {cpu / local_cpu:.2f} | {waiting:.1%} |"
        )


if __name__ == "__main__":
    main()
