#!/bin/bash
# safetensors 0.8.0 saves the components of any PCA of scikit-learn in a wrong order, without a word.
#
# Expected: load_file gives the array that save_file was given, as 0.7.0 did, or save_file refuses, as
# safetensors.torch does. The reference asks for arrays that are "contiguous and dense", and so are these.
# Seen: components_ of every solver of scikit-learn 1.9.1's PCA, and of its IncrementalPCA, lies in memory
# by columns. Since 0.8.0 safetensors.numpy writes the memory as it is under the shape of rows: the
# numbers and the shape are right, the places are not, and projections by what was loaded are noise. So
# for any array by columns, such as a transposed one. np.ascontiguousarray(...) is the cure.
# (safetensors/safetensors#825 tells the same.)
#
# Prints for both versions and each solver whether the components come back, and how much of the variance
# their projections keep. Exits with 1 where this is no longer so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check scikit-learn==1.9.1 numpy==2.4.6
cat > "$folder/save.py" <<'PYTHON'
import sys

import numpy as np
import safetensors
import safetensors.numpy
from sklearn.decomposition import PCA, IncrementalPCA

random = np.random.default_rng(1)
scales = np.linspace(10, 1, 64) ** 2
rows = (random.standard_normal((1000, 64)) * scales) @ np.linalg.qr(random.standard_normal((64, 64)))[0]
rows -= rows.mean(axis=0)
models = {solver: PCA(8, svd_solver=solver) for solver in ("full", "covariance_eigh", "arpack", "randomized")}
models["incremental"] = IncrementalPCA(8)
came_back = []
print("safetensors", safetensors.__version__)
for name, model in models.items():
    components = model.fit(rows).components_
    safetensors.numpy.save_file({"components": components}, "pca.safetensors")
    loaded = safetensors.numpy.load_file("pca.safetensors")["components"]
    cured = {"components": np.ascontiguousarray(components)}
    safetensors.numpy.save_file(cured, "cured.safetensors")
    whole = safetensors.numpy.load_file("cured.safetensors")["components"]
    came_back.append(np.array_equal(loaded, components))
    kept, before = (((rows @ basis.T) ** 2).sum() / (rows**2).sum() for basis in (loaded, components))
    print(f"  {name}: the same components: {came_back[-1]}, variance kept {kept:.2f}, before {before:.2f}")
    if loaded.shape != components.shape or not np.array_equal(whole, components):
        sys.exit(1)
sys.exit(came_back != [sys.argv[1] == "right"] * len(models))
PYTHON
cd "$folder"
for version in 0.7.0=right 0.8.0=wrong; do
  venv/bin/pip install --quiet --disable-pip-version-check "safetensors==${version%=*}"
  venv/bin/python save.py "${version#*=}"
done
