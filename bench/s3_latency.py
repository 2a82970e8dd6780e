"""The job on a tree on S3 at several latencies, beside the same tree on local disk.

Starts MinIO and the tests' proxy, which waits before it hands on each request. Both share the
program's cores; so beside the rate of the extract stage this prints the program's own CPU time and
the share of the workers' time that they waited for bytes, which they do not disturb.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

sys.path[:0] = [str(pathlib.Path(__file__).parents[1] / "tests" / each) for each in ("", "s3")]

import pyarrow.fs  # noqa: E402
import servers  # noqa: E402
from proxy import Proxy  # noqa: E402

RUN_ID = "bench"


def run(program, tree, output, environment):
    """Images a second of the extract stage, CPU seconds, share of worker time spent waiting."""
    job = [program, "run", tree, output, "--run-id", RUN_ID, "--quiet", "--formats", "parquet"]
    process = subprocess.Popen(job, env=os.environ | environment)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"{job} failed")
    info = json.loads((output / f"run_info/run_info_{RUN_ID}/part-00000.json").read_text())
    workers = info["worker_seconds"]
    waiting = workers["read"] / sum(workers.values())
    return info["images_per_second"], usage.ru_utime + usage.ru_stime, waiting


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tree", help="a local folder of labelled images")
    parser.add_argument("--latency", type=int, nargs="*", default=[0, 5, 20, 50, 100], help="ms")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--program", default="build/pomona")
    arguments = parser.parse_args()

    figures: dict[str, list] = {}
    with tempfile.TemporaryDirectory() as scratch, servers.minio(pathlib.Path(scratch)) as minio:
        minio.file_system().create_dir("bench")
        pyarrow.fs.copy_files(
            arguments.tree, "bench/in", destination_filesystem=minio.file_system()
        )
        for number in range(arguments.rounds):
            output = pathlib.Path(scratch) / f"local-{number}"
            figures.setdefault("local", []).append(
                run(arguments.program, arguments.tree, output, {})
            )
            for latency in arguments.latency:
                output = pathlib.Path(scratch) / f"{latency}-{number}"
                with Proxy(minio.endpoint, latency=latency / 1000) as proxy:
                    environment = minio.environment(proxy.endpoint)
                    figures.setdefault(f"{latency} ms", []).append(
                        run(arguments.program, "s3://bench/in", output, environment)
                    )

    local_rate, local_cpu, _ = map(statistics.median, zip(*figures["local"], strict=True))
    print("| | images/s | of local | CPU seconds | of local | waiting for bytes |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, runs in figures.items():
        rate, cpu, waiting = map(statistics.median, zip(*runs, strict=True))
        print(
            f"| {name} | {rate:.0f} | {rate / local_rate:.2f} | {cpu:.1f} "
            f"| {cpu / local_cpu:.2f} | {waiting:.1%} |"
        )


if __name__ == "__main__":
    main()
