#!/usr/bin/env python3
"""The nearest images of a run: pomona.Index against FAISS' IndexFlatIP and scikit-learn's
NearestNeighbors, on the same rows and threads, by turns.

    bench/neighbours_bench.py OUTPUT [--k K] [--repeat N] [--without-scikit-learn]

OUTPUT: the folder of a published run. Prints medians of the seconds that it takes to open the
index, to find the K nearest of all images, and of one (of 100, one after another); of how many
images a distance differs by more than float32 rounds, in which the others calculate. Needs numpy,
pyarrow, faiss-cpu, scikit-learn and the package pomona.
"""

import argparse
import os
import statistics
import time

import faiss
import numpy as np
import pomona
from sklearn.neighbors import NearestNeighbors


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def rows_of(output):
    column = pomona.Run(output).features()["features"].combine_chunks()
    return column.flatten().to_numpy().reshape(len(column), -1)


# Each opens an index and gives a function of queries and k, which gives their distances.


def by_pomona(output, threads):
    index = pomona.Index(output, threads=threads)
    return lambda rows, k: index.search(rows, k)["distance"].to_numpy().reshape(len(rows), k)


def by_faiss(output, threads):
    faiss.omp_set_num_threads(threads)
    rows = unit(rows_of(output))
    index = faiss.IndexFlatIP(rows.shape[1])
    index.add(rows)
    return lambda queries, k: 1 - index.search(unit(queries), k)[0]


def by_scikit_learn(output, threads):
    index = NearestNeighbors(metric="cosine", algorithm="brute", n_jobs=threads)
    index.fit(rows_of(output))
    return lambda queries, k: index.kneighbors(queries, k)[0]


WAYS = {"pomona": by_pomona, "FAISS": by_faiss, "scikit-learn": by_scikit_learn}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output")
    parser.add_argument("--k", type=int, default=10)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--without-scikit-learn", action="store_true")
    arguments = parser.parse_args()
    threads = len(os.sched_getaffinity(0))
    names = [name for name in WAYS if name != "scikit-learn" or not arguments.without_scikit_learn]
    rows = rows_of(arguments.output)
    few = rows[:: max(1, len(rows) // 100)][:100]
    seconds: dict[tuple, list[float]] = {}
    found = {}
    for _ in range(arguments.repeat):
        for name in names:
            began, used = time.perf_counter(), time.process_time()

            def lap(what, name=name):
                nonlocal began, used
                now, cpu = time.perf_counter(), time.process_time()
                seconds.setdefault((name, what), []).append(now - began)
                seconds.setdefault((name, what, "cpu"), []).append(cpu - used)
                began, used = now, cpu

            search = WAYS[name](arguments.output, threads)
            lap("open")
            found[name] = search(rows, arguments.k)
            lap("all")
            for row in few:
                search(row[None], arguments.k)
            lap("one")
    print(f"{len(rows)} rows, {threads} threads, k {arguments.k}")
    for name in names:
        texts = []
        for what, count in (("open", 1), ("all", 1), ("one", len(few))):
            took = statistics.median(seconds[name, what]) / count
            spent = statistics.median(seconds[name, what, "cpu"]) / count
            ratio = took * count / statistics.median(seconds["pomona", what])
            texts.append(f"{what} {took:.4f} s (CPU {spent:.4f} s, {ratio:.1f} times)")
        apart = np.abs(found[name] - found["pomona"]).max(axis=1) > 1e-5
        print(f"{name}: {', '.join(texts)}; {apart.sum()} rows with other distances")


if __name__ == "__main__":
    main()
