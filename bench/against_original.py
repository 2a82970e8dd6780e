"""The job on Spark beside the job that it replaces, in turns on one machine, process start to exit.

    against_original.py WEIGHTS.safetensors [--images N] [--original N] [--rounds N] [--cores N]
                        [--memory SIZE] [--scratch FOLDER]

Both run in Spark local[cores], on sample trees: the original on fewer images, since it takes half a
second for each. Runs in the environment of peers/original_job.py, which has Pomona's wheel as well.
"""

import argparse
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

import measure


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("weights")
    parser.add_argument("--images", type=int, default=10_000, help="default: %(default)s")
    parser.add_argument(
        "--original", type=int, default=250, help="images for it; default: %(default)s"
    )
    parser.add_argument("--rounds", type=int, default=1, help="default: %(default)s")
    parser.add_argument("--cores", type=int, default=2, help="default: %(default)s")
    parser.add_argument("--memory", default="4g", help="of the driver; default: %(default)s")
    parser.add_argument("--scratch", default=os.path.join(tempfile.gettempdir(), "pomona_bench"))
    args = parser.parse_args()

    program = pathlib.Path(sys.executable).with_name("pomona")
    job = subprocess.check_output([program, "spark-job"], text=True).strip()
    original = pathlib.Path(__file__).parent / "peers" / "original_job.py"
    output = os.path.join(args.scratch, "against_original")
    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    os.environ["PYSPARK_PYTHON"] = sys.executable
    os.environ["PYSPARK_SUBMIT_ARGS"] = (
        f"--master local[{args.cores}] --driver-memory {args.memory} --conf spark.ui.enabled=false "
        "--conf spark.driver.bindAddress=127.0.0.1 pyspark-shell"
    )

    def rate(images, *command):
        measure.fresh(output)
        return images / measure.run([sys.executable, *command]).seconds

    small = measure.sample(program, args.scratch, args.original)
    large = measure.sample(program, args.scratch, args.images)
    originals, ours = [], []
    for _ in range(args.rounds):
        originals.append(
            rate(
                args.original,
                original,
                small,
                output,
                args.weights,
                "--cores",
                args.cores,
                "--memory",
                args.memory,
            )
        )
        ours.append(rate(args.images, job, large, output, "full"))
    measure.fresh(output)
    print(f"original, {args.original} images: {measure.spread(originals, 2)} images/s")
    print(f"Pomona on Spark, {args.images} images: {measure.spread(ours)} images/s")
    print(f"{statistics.median(ours) / statistics.median(originals):.0f} times as fast")


if __name__ == "__main__":
    main()
