"""The network alone on prepared tensors: the native engine beside OpenVINO and ONNX Runtime, f32.

    network.py [--threads 1 2] [--rounds R] [--images N] [--program FILE] [--weights FILE]

Engines take turns within a round. ONNX Runtime runs a session of one thread on each of the threads,
which is its fastest arrangement here.
"""

import argparse
import os
import subprocess
import sys

import measure


def onnxruntime_rate(models, threads, images):
    """Images a second, measured in a process of its own."""
    script = """
import sys, time
from concurrent.futures import ThreadPoolExecutor
import numpy as np
import onnxruntime as ort
model, threads, images = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
options = ort.SessionOptions()
options.intra_op_num_threads = 1
session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
picture = np.random.default_rng(0).integers(0, 256, (1, 224, 224, 3), dtype=np.uint8)
def work(count):
    for _ in range(count):
        session.run(None, {session.get_inputs()[0].name: picture})
with ThreadPoolExecutor(threads) as pool:
    list(pool.map(work, [10] * threads))
    start = time.perf_counter()
    list(pool.map(work, [images // threads] * threads))
    print(images // threads * threads / (time.perf_counter() - start))
"""
    return float(
        subprocess.run(
            [
                sys.executable,
                "-c",
                script,
                os.path.join(models, "mobilenet_v2.onnx"),
                str(threads),
                str(images),
            ],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    measure.add_common_arguments(parser)
    parser.set_defaults(threads=[1, 2])
    parser.add_argument("--images", type=int, default=1000, help="default: %(default)s")
    args = parser.parse_args()
    if isinstance(args.threads, int):
        args.threads = [args.threads]
    models = measure.models(args)
    ceiling = os.path.join(
        os.path.dirname(os.path.abspath(args.program)), "bench", "engine_ceiling"
    )

    print(f"{measure.machine(args.threads)}; images/s, medians of {args.rounds} rounds\n")
    print("| threads | engine | images/s | native / it |")
    print("| --- | --- | --- | --- |")
    for threads in args.threads:
        rates: dict[str, list[float]] = {}
        for _ in range(args.rounds):
            lines = subprocess.run(
                [
                    ceiling,
                    "--threads",
                    str(threads),
                    "--repeats",
                    "1",
                    "--images",
                    str(args.images),
                    "--weights",
                    measure.weights(args),
                    "--engines",
                    "native,openvino",
                    "--ir",
                    os.path.join(models, "mobilenet_v2.xml"),
                ],
                check=True,
                capture_output=True,
                text=True,
            ).stdout.splitlines()
            for line in lines:
                name, rate = line.split("\t")
                rates.setdefault(name, []).append(float(rate))
            rates.setdefault("onnxruntime", []).append(
                onnxruntime_rate(models, threads, args.images)
            )
        for name, values in rates.items():
            ratios = [ours / theirs for ours, theirs in zip(rates["native"], values, strict=True)]
            print(
                f"| {threads} | {name} | {measure.spread(values)} | {measure.spread(ratios, 2)} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
