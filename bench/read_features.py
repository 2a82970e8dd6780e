"""Features read by pyarrow into a matrix: lists whose size the Arrow schema tells (--vectors fixed)
beside lists without (--vectors list), in turns.

    python bench/read_features.py OUTPUT/features/parquet/features_FIXED .../features_LIST
"""

import argparse
import statistics
import time

import pyarrow.parquet as pq


def matrix(folder):
    column = pq.read_table(folder, columns=["features"])["features"].combine_chunks()
    return column.flatten().to_numpy().reshape(len(column), -1)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("folders", nargs=2, metavar="FOLDER")
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    first, second = (matrix(folder) for folder in args.folders)
    assert (first == second).all()
    rows = len(first)
    del first, second
    seconds: dict[str, list[float]] = {folder: [] for folder in args.folders}
    for _ in range(args.rounds):
        for folder in args.folders:
            start = time.perf_counter()
            matrix(folder)
            seconds[folder].append(time.perf_counter() - start)
    for folder, taken in seconds.items():
        spread = f"{min(taken):.3f} to {max(taken):.3f}"
        print(f"{folder}: {rows} rows in {statistics.median(taken):.3f} s ({spread})")
    ratios = [a / b for a, b in zip(*seconds.values(), strict=True)]
    print(f"ratio, median of {len(ratios)} rounds: {statistics.median(ratios):.3f}")


if __name__ == "__main__":
    main()
