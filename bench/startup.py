"""How soon pomona answers: `pomona version`, and the first row of features of a run.

    startup.py [--repeats 50] [--threads N] [--rounds R] [--program FILE]

The first row is what run_info says about itself: seconds from the start of the process until the
first image's features were there.
"""

import argparse
import os

import measure

IMAGES = 240


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--repeats", type=int, default=50, help="of `pomona version`; default: %(default)s"
    )
    measure.add_common_arguments(parser)
    args = parser.parse_args()

    tree = measure.sample(args.program, args.scratch, IMAGES)
    output = os.path.join(args.scratch, "startup")
    first_rows = []
    for _ in range(args.rounds):
        measure.run(measure.pomona_run(args, tree, measure.fresh(output)))
        first_rows.append(1000 * measure.run_info(output)["seconds"]["first_row"])
    measure.fresh(output)
    versions = [1000 * measure.run([args.program, "version"]).seconds for _ in range(args.repeats)]

    print(f"{measure.machine(args.threads)}; medians\n")
    print("| | milliseconds | runs |")
    print("| --- | --- | --- |")
    print(f"| `pomona version`, start to exit | {measure.spread(versions)} | {args.repeats} |")
    print(f"| start to first row of features | {measure.spread(first_rows, 0)} | {args.rounds} |")


if __name__ == "__main__":
    main()
