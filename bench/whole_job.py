"""The whole job, process start to exit: pomona beside the Python peers, in turns.

    whole_job.py INPUT [--threads N] [--rounds R] [--program FILE] [--weights FILE]

Every run is a fresh process that writes into a fresh folder. A first round, not counted, fills the
page cache; the order rotates from round to round. Ends with a Markdown table of medians (and
ranges), and fails if the features of the three differ by more than 1e-4.
"""

import argparse
import os
import statistics
import sys

import measure

HERE = os.path.dirname(os.path.abspath(__file__))
LARGEST_DIFFERENCE = 1e-4


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("input")
    measure.add_common_arguments(parser)
    args = parser.parse_args()

    models = measure.models(args)
    outputs = {
        name: os.path.join(args.scratch, f"whole_job_{name}")
        for name in ("pomona", "peer_openvino", "peer_onnxruntime")
    }

    def command(name):
        if name == "pomona":
            return measure.pomona_run(args, args.input, outputs[name])
        return [
            sys.executable,
            os.path.join(HERE, "peers", f"{name}.py"),
            args.input,
            outputs[name],
            "--models",
            models,
            "--threads",
            args.threads,
        ]

    names = list(outputs)
    costs: dict[str, list] = {name: [] for name in names}
    for turn in range(-1, args.rounds):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            measure.fresh(outputs[name])
            cost = measure.run(command(name))
            if turn >= 0:
                costs[name].append(cost)
                print(
                    f"round {turn + 1}: {name} {cost.seconds:.2f} s, {cost.peak_mib:.0f} MiB",
                    file=sys.stderr,
                )

    images = measure.run_info(outputs["pomona"])["counts"]["rows"]
    medians = {
        name: measure.Cost(*map(statistics.median, zip(*costs[name], strict=True)))
        for name in names
    }
    ours = medians["pomona"]
    print(f"{measure.machine(args.threads)}; {images} images; medians of {args.rounds} rounds\n")
    print("| | seconds | images/s | peak MiB | time / pomona's | memory / pomona's |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name in names:
        seconds, peaks, _ = zip(*costs[name], strict=True)
        print(
            f"| {name} | {measure.spread(seconds, 2)} | {images / medians[name].seconds:.0f} "
            f"| {measure.spread(peaks, 0)} | {medians[name].seconds / ours.seconds:.2f} "
            f"| {medians[name].peak_mib / ours.peak_mib:.2f} |"
        )

    print()
    for name in names[1:]:
        difference = largest_difference(outputs["pomona"], outputs[name])
        print(f"largest difference of features, pomona and {name}: {difference:.1e}")
        if not difference <= LARGEST_DIFFERENCE:
            sys.exit(f"more than {LARGEST_DIFFERENCE}")


def largest_difference(output, other):
    """Of the features of two outputs; infinite where their rows differ."""
    import glob  # here, so that they add nothing to what is measured above

    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    def read(folder):
        files = sorted(glob.glob(os.path.join(folder, "features/parquet/features_*/part-*")))
        table = pa.concat_tables([pq.ParquetFile(file).read() for file in files])
        features = table["features"].combine_chunks().flatten().to_numpy()
        return table["path"].to_pylist(), features.reshape(table.num_rows, -1)

    paths, features = read(output)
    other_paths, other_features = read(other)
    if paths != other_paths:
        return float("inf")
    return float(np.abs(features - other_features).max())


if __name__ == "__main__":
    main()
