#!/bin/bash
# DuckDB 2.0.1 replaces a column of a Parquet or CSV file by the name of a folder above it.
#
# Expected: a column that a file holds is read from the file; or, where the file and a folder
# "label=..." disagree, an error or a warning.
# Seen: below a folder called label=round1 the column `label` is 'round1' in every row, whatever the
# file says, and a list column called `features` becomes text below features=v2. Hive's partitions are
# detected by folder names by default, and win over the file. hive_partitioning = false is the cure.
#
# Prints what is read in either way. Exits with 1 where this is no longer so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check duckdb==2.0.1
cd "$folder"
venv/bin/python - <<'PYTHON'
import os
import sys

import duckdb

print("DuckDB", duckdb.__version__)
table = "(SELECT * FROM (VALUES ('apple', [1.0, 2.0]), ('kiwi', [3.0, 4.0])) t(label, features))"
rows = [("apple", [1.0, 2.0]), ("kiwi", [3.0, 4.0])]
seen = {
    "plain": rows,
    "label=round1": [("round1", [1.0, 2.0]), ("round1", [3.0, 4.0])],
    "features=v2": [("apple", "v2"), ("kiwi", "v2")],
}
as_seen = True
for folder, expected in seen.items():
    os.mkdir(folder)
    duckdb.sql(f"COPY {table} TO '{folder}/part.parquet'")
    duckdb.sql(f"COPY (SELECT label FROM {table}) TO '{folder}/part.csv'")
    read = duckdb.sql(f"SELECT label, features FROM '{folder}/*.parquet'").fetchall()
    csv = duckdb.sql(f"SELECT label FROM '{folder}/*.csv'").fetchall()
    off = duckdb.sql(
        f"SELECT label, features FROM read_parquet('{folder}/*.parquet', hive_partitioning = false)"
    ).fetchall()
    read = [(label, [float(x) for x in f] if isinstance(f, list) else f) for label, f in read]
    off = [(label, [float(x) for x in f]) for label, f in off]
    print(f"{folder}: {read}, CSV {csv}; with hive_partitioning = false: {off}")
    as_seen &= read == expected and off == rows and csv == [(label,) for label, _ in expected]
sys.exit(not as_seen)
PYTHON
