#!/bin/bash
# DuckDB 2.0.1 says of a NaN in a Parquet file that isnan() is false.
#
# Expected: isnan(score) is true of a score that the same row shows as nan; who looks for broken numbers
# in a table of scores or vectors finds them, as DuckDB 1.5.0 did.
# Seen: as soon as another number stands in the column, isnan() is false in every row and WHERE isnan(...)
# finds none, for elements of vectors too. Parquet's statistics have no NaN in them by definition, but
# DuckDB takes them for the range of all values and folds the function. not isfinite(), a count with FILTER
# and 1.5.0 see them, so ways to ask disagree. can_have_nan = true, an option of read_parquet that is off,
# is the cure. (Of comparisons, which 1.5.0 gets wrong as well, duckdb/duckdb#25521 tells.)
#
# Prints for both versions what each way to ask finds. Exits with 1 where this is no longer so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pyarrow==26.0.1
cat > "$folder/ask.py" <<'PYTHON'
import math
import sys

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

print("DuckDB", duckdb.__version__)
vectors = [[1.0, 2.0], [3.0, math.nan], [5.0, 6.0]]
columns = {
    "path": ["apple.jpg", "kiwi.jpg", "pear.jpg"],
    "score": [0.25, math.nan, 0.75],
    "features": pa.array(vectors, pa.list_(pa.float32(), 2)),
}
pq.write_table(pa.table(columns), "scores.parquet")
table = "'scores.parquet'"
questions = {
    f"SELECT isnan(score) FROM {table}": ([False] * 3, [False, True, False]),
    f"SELECT path FROM {table} WHERE isnan(score)": ([], ["kiwi.jpg"]),
    f"SELECT path FROM {table} WHERE isnan(features[2])": ([], ["kiwi.jpg"]),
    f"SELECT count(*) FILTER (WHERE isnan(score)) FROM {table}": ([1], [1]),
    f"SELECT path FROM {table} WHERE NOT isfinite(score)": (["kiwi.jpg"], ["kiwi.jpg"]),
}
as_seen = True
for question, (wrong, right) in questions.items():
    answer = [row[0] for row in duckdb.sql(question).fetchall()]
    told = question.replace(table, f"read_parquet({table}, can_have_nan = true)")
    cured = [row[0] for row in duckdb.sql(told).fetchall()]
    print(f"  {question}: {answer}; with can_have_nan: {cured}")
    as_seen = as_seen and cured == right and answer == (wrong if sys.argv[1] == "wrong" else right)
scores = [row[0] for row in duckdb.sql(f"SELECT score FROM {table}").fetchall()]
print(f"  scores: {scores}")
sys.exit(not (as_seen and math.isnan(scores[1])))
PYTHON
cd "$folder"
for version in 1.5.0=right 2.0.1=wrong; do
  venv/bin/pip install --quiet --disable-pip-version-check "duckdb==${version%=*}"
  venv/bin/python ask.py "${version#*=}"
done
