#!/bin/sh
# repair_wheel.sh PYTHON WHEEL BUILD_FOLDER OUTPUT_FOLDER [LIBRARIES]: puts the shared libraries that
# the wheel needs into it, but those of Arrow, which are the installed pyarrow's, and with a stand-in
# for libjbig (python/no_jbig.c). They are this machine's, or for another kind of machine those in the
# folder LIBRARIES. The wheel then runs wherever the C library and the C++ library of manylinux_2_34
# are, which Amazon Linux 2023 has; one built on a newer system than Debian 12, on systems as new as
# that one.
set -eu
python=$1 wheel=$2 build=$3 output=$4 libraries=${5-}

repair() {
  PATH=$(dirname "$python"):$PATH AUDITWHEEL_LD_LIBRARY_PATH=$build/python${libraries:+:$libraries} \
    "$python" -m auditwheel repair --plat "$1" --exclude 'libarrow.so.*' --exclude 'libparquet.so.*' \
    --wheel-dir "$output" "$wheel"
}
# auditwheel takes only this machine's platforms by name.
if [ -z "$libraries" ]; then
  repair "manylinux_2_34_$(uname -m)" || repair auto
else
  repair auto
fi
