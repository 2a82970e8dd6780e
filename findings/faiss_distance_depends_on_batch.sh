#!/bin/bash
# FAISS 1.15.1: the exact index gives another distance for the same two vectors when more are asked for.
#
# Expected: IndexFlatL2, which is exact, gives one distance for one pair of vectors, and 0 between a
# vector and itself, so that equal rows can be told from near ones.
# Seen: it does so for a few queries at a time. For a hundred at once it adds up norms and products
# (|x|^2 + |y|^2 - 2xy, by BLAS), so a vector of 1,280 numbers between 0 and 1 lies some 1e-4 from itself:
# as far as real near duplicates. A larger faiss.cvar.distance_compute_blas_threshold is the cure.
#
# Prints the largest distance of 1,000 vectors to themselves. Exits with 1 where this is no longer so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check faiss-cpu==1.15.1 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PYTHON'
import sys

import faiss
import numpy as np

print("FAISS", faiss.__version__)
vectors = np.random.default_rng(1).random((1000, 1280), dtype=np.float32)
index = faiss.IndexFlatL2(1280)
index.add(vectors)


def farthest(at_once):
    """Of every vector to itself."""
    batches = (vectors[first : first + at_once] for first in range(0, 1000, at_once))
    return max(float(index.search(batch, 1)[0].max()) for batch in batches)


alone, together = farthest(10), farthest(500)
faiss.cvar.distance_compute_blas_threshold = 10**6
cured = farthest(500)
print(f"squared distance of a vector to itself: 10 at once {alone}, 500 at once {together:.1e}")
print(f"500 at once, with distance_compute_blas_threshold = 10**6: {cured}")
sys.exit(not (alone == 0 and together > 1e-5 and cured == 0))
PYTHON
