#!/bin/bash
# hnswlib 0.8.0 does not find rows that are in the index, where the same number of others are equal.
#
# Expected: with ef far above k nearly every row finds itself, as it does among rows that all differ;
# copies (frames of a still camera, placeholders, re-uploads) cost some memory.
# Seen: of 3,000 rows beside 3,000 copies of one other row about a sixth do not find themselves with
# ef = 200; without the copies, one in a thousand. The copies link to each other and cut the graph.
# Dropping equal rows before the index is built is the cure.
#
# Prints the shares. Exits with 1 where this is no longer so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check hnswlib==0.8.0 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PYTHON'
import importlib.metadata
import sys

import hnswlib
import numpy as np

print("hnswlib", importlib.metadata.version("hnswlib"))
random = np.random.default_rng(0)
rows = random.standard_normal((3000, 64)).astype(np.float32)
copies = np.repeat(random.standard_normal((1, 64)).astype(np.float32), 3000, axis=0)


def found(vectors):
    """The share of the last 3,000 that are their own nearest neighbour."""
    index = hnswlib.Index("l2", 64)
    index.init_index(len(vectors), M=16, ef_construction=200, random_seed=1)
    index.set_num_threads(1)
    index.add_items(vectors)
    index.set_ef(200)
    labels, _ = index.knn_query(vectors[-3000:], 1)
    return float((labels[:, 0] == np.arange(len(vectors) - 3000, len(vectors))).mean())


alone, beside = found(rows), found(np.concatenate([copies, rows]))
print(f"rows that find themselves: {alone:.3f} alone, {beside:.3f} beside 3,000 copies of another")
sys.exit(not (alone > 0.99 and beside < 0.9))
PYTHON
