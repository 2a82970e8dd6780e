#!/bin/bash
# Hugging Face's datasets 5.2.0 loads a folder by any name but ".".
#
# Expected: load_dataset(".") in a folder of Parquet files gives what load_dataset("/the/folder") and
# load_dataset("../folder") give: the README of a repository that was cloned is read there.
# Seen: ValueError "dataset_name should be specified but got None", with and without a README that has
# `configs`, and for "./" as well. The data set is named after the last part of the path, and "." has
# none. os.getcwd() is the cure.
#
# Prints what each path gives. Exits with 1 where this is no longer so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check datasets==5.2.0
mkdir "$folder/fruits"
cd "$folder/fruits"
HF_HUB_OFFLINE=1 HF_HOME="$folder/cache" ../venv/bin/python - <<'PYTHON' 2> ../warnings || { cat ../warnings; exit 1; }
import os
import sys

import datasets
import pyarrow as pa
import pyarrow.parquet as pq

print("datasets", datasets.__version__)
os.mkdir("a")
pq.write_table(pa.table({"label": ["apple", "kiwi", "pear"]}), "a/part.parquet")
card = "---\nconfigs:\n- config_name: default\n  data_files: a/*.parquet\n---\n"


def rows(path):
    try:
        return datasets.load_dataset(path, split="train").num_rows
    except ValueError as error:
        return str(error)


as_seen = True
for readme in (None, card):
    if readme:
        with open("README.md", "w") as file:
            file.write(readme)
    for path in (".", "./", "../fruits", os.getcwd()):
        given = rows(path)
        print(f"{'with' if readme else 'without'} README, {path}: {given}")
        as_seen &= given == (3 if "fruits" in path else "dataset_name should be specified but got None")
sys.exit(not as_seen)
PYTHON
