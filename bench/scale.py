"""Pomona over sample trees of growing size: rate, peak memory and share of the engine's ceiling.

    scale.py [--images 2000 20000 100000] [--threads N] [--rounds R] [--program FILE]

The rate counts everything from the start of the process to its exit, PCA and writing included. The
ceiling is what engine_ceiling measures right before and right after each run, averaged. Sample
trees stay in the scratch folder and are used again.
"""

import argparse
import os
import statistics
import subprocess
import sys

import measure


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, nargs="+", default=[2000, 20000, 100000])
    parser.add_argument("--ceiling", help="default: bench/engine_ceiling beside the program")
    parser.add_argument("--ceiling-images", type=int, default=2000, help="default: %(default)s")
    measure.add_common_arguments(parser)
    args = parser.parse_args()
    ceiling_program = args.ceiling or os.path.join(
        os.path.dirname(os.path.abspath(args.program)), "bench", "engine_ceiling"
    )

    def ceiling():
        command = [
            ceiling_program,
            "--threads",
            str(args.threads),
            "--repeats",
            "1",
            "--images",
            str(args.ceiling_images),
            "--weights",
            measure.weights(args),
        ]
        name, rate = (
            subprocess.run(command, check=True, capture_output=True, text=True)
            .stdout.splitlines()[0]
            .split("\t")
        )
        assert name == "native"
        return float(rate)

    print(f"{measure.machine(args.threads)}; medians of {args.rounds} rounds\n")
    print("| images | images/s | extract stage, images/s | engine's ceiling | share | peak MiB |")
    print("| --- | --- | --- | --- | --- | --- |")
    for images in args.images:
        tree = measure.sample(args.program, args.scratch, images)
        output = os.path.join(args.scratch, "scale")
        rates, extract_rates, ceilings, shares, peaks = [], [], [], [], []
        before = ceiling()
        for turn in range(args.rounds):
            measure.fresh(output)
            cost = measure.run(measure.pomona_run(args, tree, output))
            after = ceiling()
            rates.append(images / cost.seconds)
            extract_rates.append(measure.run_info(output)["images_per_second"])
            ceilings.append((before + after) / 2)
            shares.append(rates[-1] / ceilings[-1])
            peaks.append(cost.peak_mib)
            before = after
            print(
                f"{images} images, round {turn + 1}: {rates[-1]:.1f} images/s of "
                f"{ceilings[-1]:.1f}, {cost.peak_mib:.0f} MiB",
                file=sys.stderr,
            )
        measure.fresh(output)
        print(
            f"| {images} | {measure.spread(rates)} | {statistics.median(extract_rates):.1f} "
            f"| {measure.spread(ceilings)} | {measure.spread(shares, 3)} "
            f"| {measure.spread(peaks, 0)} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
