#!/usr/bin/env python3
"""All pairs of near duplicates: pomona.near_pairs against FAISS' IndexFlatIP (range search) and
scikit-learn's NearestNeighbors, on the same rows and threads, by turns.

    bench/audit_bench.py RUN [--rows N] [--near COSINE] [--repeat N] [--without-scikit-learn]

RUN: the folder of a run's features in Parquet. Where more rows are asked for than it has, they are
repeated with noise (`made_features.py`). Prints medians, ratios, and whether the pairs are the
same; those at the very threshold may differ, as the others calculate in float32. Needs numpy,
pyarrow, faiss-cpu, scikit-learn and the package pomona.
"""

import argparse
import os
import statistics
import time

import faiss
import numpy as np
import pomona
from made_features import made_rows
from sklearn.neighbors import NearestNeighbors


def by_pomona(rows, near, threads):
    pairs = pomona.near_pairs(rows, near, threads=threads)
    return np.stack([pairs["a"].to_numpy(), pairs["b"].to_numpy()], axis=1)


def by_faiss(rows, near, threads):
    faiss.omp_set_num_threads(threads)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    index = faiss.IndexFlatIP(unit.shape[1])
    index.add(unit)
    limits, _, found = index.range_search(unit, near)
    first = np.repeat(np.arange(len(rows)), np.diff(limits.astype(np.int64)))
    pairs = np.stack([first, found], axis=1)[first < found]
    return pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]


def by_scikit_learn(rows, near, threads):
    index = NearestNeighbors(
        radius=1 - near, metric="cosine", algorithm="brute", n_jobs=threads
    ).fit(rows)
    found = index.radius_neighbors(rows, return_distance=False)
    first = np.repeat(np.arange(len(rows)), [len(row) for row in found])
    pairs = np.stack([first, np.concatenate(found)], axis=1)
    pairs = pairs[pairs[:, 0] < pairs[:, 1]]
    return pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run")
    parser.add_argument("--rows", type=int, default=67692)
    parser.add_argument("--near", type=float, default=0.98)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--without-scikit-learn", action="store_true")
    arguments = parser.parse_args()
    threads = len(os.sched_getaffinity(0))
    ways = {"pomona": by_pomona, "FAISS": by_faiss, "scikit-learn": by_scikit_learn}
    if arguments.without_scikit_learn:
        del ways["scikit-learn"]
    rows = made_rows(arguments.run, arguments.rows)
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    cpu: dict[str, list[float]] = {name: [] for name in ways}
    pairs = {}
    for _ in range(arguments.repeat):
        for name, find in ways.items():
            began, used = time.perf_counter(), time.process_time()
            pairs[name] = find(rows, arguments.near, threads)
            seconds[name].append(time.perf_counter() - began)
            cpu[name].append(time.process_time() - used)
    print(f"{len(rows)} rows, {threads} threads, cosine >= {arguments.near}")
    ours = {tuple(pair) for pair in pairs["pomona"]}
    for name in ways:
        took, spent = statistics.median(seconds[name]), statistics.median(cpu[name])
        ratio = took / statistics.median(seconds["pomona"])
        others = {tuple(pair) for pair in pairs[name]}
        print(
            f"{name}: {took:.2f} s (CPU {spent:.2f} s), {ratio:.1f} times; {len(others)} pairs, "
            f"{len(others - ours)} not in pomona's, {len(ours - others)} only there"
        )


if __name__ == "__main__":
    main()
