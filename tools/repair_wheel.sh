#!/bin/sh
# repair_wheel.sh PYTHON WHEEL BUILD_FOLDER OUTPUT_FOLDER: puts the shared libraries that the wheel
# needs into it, but those of Arrow, which are the installed pyarrow's, and with a stand-in for
# libjbig (python/no_jbig.c). The wheel then runs wherever the C library and the C++ library of
# manylinux_2_34 are, which Amazon Linux 2023 has; one built on a newer system than Debian 12, on
# systems as new as that one.
set -eu
python=$1 wheel=$2 build=$3 output=$4

machine=$(uname -m)
arrow=$("$python" -c 'import pathlib, pyarrow; print(pathlib.Path(pyarrow.__file__).parent)')
exclude=''
for library in "$arrow"/libarrow*.so.* "$arrow"/libparquet*.so.*; do
  exclude="$exclude --exclude $(basename "$library")"
done
repair() {
  # shellcheck disable=SC2086  # a list of words
  PATH=$(dirname "$python"):$PATH LD_LIBRARY_PATH=$build/python:$arrow \
    "$python" -m auditwheel repair --plat "$1" $exclude --wheel-dir "$output" "$wheel"
}
repair "manylinux_2_34_$machine" || repair auto
