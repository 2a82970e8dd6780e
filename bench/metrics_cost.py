"""A run with --metrics beside one without, in turns.

    python bench/metrics_cost.py [--images 6000]

The ratios are those of the rates, with to without, of each pair of runs; on a machine that does
something else as well, that of CPU time counts.
"""

import argparse
import os
import statistics

from measure import add_common_arguments, fresh, machine, pomona_run, run, sample, spread


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_common_arguments(parser)
    parser.add_argument("--images", type=int, default=6000, help="default: %(default)s")
    args = parser.parse_args()
    tree = sample(args.program, args.scratch, args.images)
    output = os.path.join(args.scratch, "metrics_cost")
    metrics = ["--metrics", os.path.join(args.scratch, "metrics_cost.prom")]

    def cost(options):
        return run([*pomona_run(args, tree, fresh(output)), "--report", "none", *options])

    cost(metrics)  # what is read later is in memory
    pairs = []
    for turn in range(args.rounds):
        first, second = (metrics, []) if turn % 2 else ([], metrics)
        costs = {bool(options): cost(options) for options in (first, second)}
        pairs.append((costs[False], costs[True]))
    fresh(output)
    print(f"{args.images} images; {machine(args.threads)}; medians of {args.rounds} pairs")
    for name in ("seconds", "cpu_seconds"):
        without, with_metrics = (
            [getattr(cost, name) for cost in costs] for costs in zip(*pairs, strict=True)
        )
        ratios = [a / b for a, b in zip(without, with_metrics, strict=True)]
        print(
            f"{name}: without {spread(without, 2)}, with {spread(with_metrics, 2)}, "
            f"ratio {spread(ratios, 4)}, of medians "
            f"{statistics.median(without) / statistics.median(with_metrics):.4f}"
        )


if __name__ == "__main__":
    main()
