#!/bin/bash
# Keras 3.15.1 saves a bfloat16 model as .h5 without a word, and cannot load what it saved.
#
# Expected: load_model gives the model back, as it does from .keras (and load_weights from
# .weights.h5), or save refuses.
# Seen: with the dtype policy "bfloat16" (backend JAX), model.save("m.h5") warns only that the format is
# legacy. Each tensor lies in the file as opaque two bytes a number, with nothing that names their type
# (.keras has an attribute dtype = bfloat16 beside them); load_model then raises a TypeError from JAX.
# The numbers are whole: read as the upper halves of float32 they are those that were saved. (Of Keras 2
# keras-team/keras#17069 tells the same.)
#
# Prints what each format gives back. Exits with 1 where this is no longer so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  keras==3.15.1 jax==0.10.2 h5py==3.16.0
cd "$folder"
KERAS_BACKEND=jax venv/bin/python - <<'PYTHON' 2> warnings || { cat warnings; exit 1; }
import sys

import h5py
import keras
import numpy as np

print("Keras", keras.__version__)
keras.config.set_dtype_policy("bfloat16")
kernel = np.array([[1.5, 2], [3, 4], [5, -6.25]], "float32")  # all are bfloat16 numbers
model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, use_bias=False)])
model.set_weights([kernel])
given_back = {}
for name in ("m.keras", "m.h5"):
    model.save(name)
    try:
        loaded = keras.models.load_model(name).get_weights()[0]
        given_back[name] = np.array_equal(np.asarray(loaded, "float32"), kernel)
        print(f"{name}: the same numbers: {given_back[name]}")
    except Exception as error:
        given_back[name] = type(error).__name__
        print(f"{name}: {type(error).__name__}: {str(error).splitlines()[0]}")
found = []
with h5py.File("m.h5") as file:
    file.visititems(lambda _, item: found.append(item[()]) if isinstance(item, h5py.Dataset) else None)
halves = found[0].view("<u2").astype("<u4") << 16
print(f"in m.h5: {len(found)} tensor of type {found[0].dtype}; read as bfloat16 the same numbers:",
      np.array_equal(halves.view("<f4"), kernel))
as_seen = given_back == {"m.keras": True, "m.h5": "TypeError"}
as_seen &= found[0].dtype.kind == "V" and np.array_equal(halves.view("<f4"), kernel)
sys.exit(not as_seen)
PYTHON
