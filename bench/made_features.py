#!/usr/bin/env python3
"""Features of any number of images, for `made_run`: those of a run, repeated with noise, each time
more of it.

    bench/made_features.py RUN ROWS FEATURES

RUN: features in Parquet, as in the folder of a run or one file of it. FEATURES: the file to write,
float32. Needs numpy and pyarrow.
"""

import argparse

import numpy as np
import pyarrow.parquet as pq


def parts(folder, count):
    """Matrices of float32, of `count` rows in all."""
    column = pq.read_table(folder, columns=["features"])["features"].combine_chunks()
    rows = column.flatten().to_numpy().reshape(len(column), -1)
    random = np.random.default_rng(1)
    for start in range(0, count, len(rows)):
        part = rows[: count - start]
        noise = 0.02 * np.sqrt(start / len(rows)) * part.std(axis=0)
        yield (part + noise * random.standard_normal(part.shape)).astype(np.float32)


def made_rows(folder, count):
    """The same in one matrix."""
    made = np.empty((count, 0), np.float32)
    at = 0
    for part in parts(folder, count):
        if at == 0:
            made = np.empty((count, part.shape[1]), np.float32)
        made[at : at + len(part)] = part
        at += len(part)
    return made


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run")
    parser.add_argument("rows", type=int)
    parser.add_argument("features")
    arguments = parser.parse_args()
    with open(arguments.features, "wb") as file:
        for part in parts(arguments.run, arguments.rows):
            file.write(part)


if __name__ == "__main__":
    main()
