"""Runs with --stats basic and full beside one without, in turns.

    python bench/stats_cost.py INPUT [--limit 2000]

The ratios are those of the times, with to without, of each round; on a machine that does something
else as well, that of CPU time counts.
"""

import argparse
import os

from measure import add_common_arguments, fresh, machine, pomona_run, run, spread

KINDS = ("none", "basic", "full")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("input")
    add_common_arguments(parser)
    parser.add_argument("--limit", type=int, default=2000, help="images; default: %(default)s")
    args = parser.parse_args()
    output = os.path.join(args.scratch, "stats_cost")

    def cost(kind):
        job = pomona_run(args, args.input, fresh(output))
        return run([*job, "--report", "none", "--limit", str(args.limit), "--stats", kind])

    cost("full")  # what is read later is in memory
    rounds = []
    for turn in range(args.rounds):
        order = KINDS if turn % 2 else KINDS[::-1]
        rounds.append({kind: cost(kind) for kind in order})
    fresh(output)
    print(f"up to {args.limit} images; {machine(args.threads)}; medians of {args.rounds} rounds")
    for name in ("seconds", "cpu_seconds"):
        for kind in KINDS:
            times = [getattr(costs[kind], name) for costs in rounds]
            plain = [getattr(costs["none"], name) for costs in rounds]
            ratios = [a / b for a, b in zip(times, plain, strict=True)]
            print(f"{name}, {kind}: {spread(times, 2)}, ratio {spread(ratios, 4)}")


if __name__ == "__main__":
    main()
