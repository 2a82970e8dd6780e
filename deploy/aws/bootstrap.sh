#!/bin/bash
# Installs Pomona on Amazon Linux 2023: EMR's bootstrap action, as user hadoop, before the applications
# start; in a container of AWS Batch, and in an image (Dockerfile), as root.
#
#   bootstrap.sh s3://BUCKET/PREFIX | FOLDER [gpu]
#
# PREFIX/wheels holds Pomona's wheel, for each architecture of the machines. If it holds wheels of
# anything else it is a complete wheelhouse and the package index is not asked.
# PREFIX/requirements.txt pins what the job needs beside Pomona and the cluster's PySpark.
# With `gpu`, YARN finds the cgroups by which it shares out GPUs.
set -euo pipefail
umask 022 # YARN's containers run as other users

artifacts=$1
home=${POMONA_HOME:-/opt/pomona}

# At boot the package database may be locked, and a mirror may be slow to answer.
retry() {
  local try
  for try in 1 2 3; do
    "$@" && return
    echo "attempt $try failed: $*" >&2
    sleep "${RETRY_SECONDS:-20}"
  done
  return 1
}

sudo=()
if ((EUID)); then
  sudo=(sudo)
fi
# Of version 1, which the system itself has no more.
if [[ ${2-} == gpu ]]; then
  "${sudo[@]}" mkdir -p /pomona-cgroups/devices
  "${sudo[@]}" mount -t cgroup -o devices cgroup /pomona-cgroups/devices
  "${sudo[@]}" chmod -R a+rwx /pomona-cgroups
fi
retry "${sudo[@]}" dnf install -y -q python3.11 python3.11-pip
"${sudo[@]}" install -d -o "$(id -u)" -g "$(id -g)" "$home"
if [[ $artifacts == s3://* ]]; then
  retry aws s3 cp --recursive --only-show-errors "$artifacts/" "$home/artifacts"
else
  cp -R "$artifacts/." "$home/artifacts"
fi

wheels=$home/artifacts/wheels
index=()
for wheel in "$wheels"/*.whl; do
  if [[ ${wheel##*/} != pomona-* ]]; then
    index=(--no-index)
  fi
done

python3.11 -m venv "$home/venv"
pip=("$home/venv/bin/python" -m pip install --quiet --disable-pip-version-check --find-links "$wheels")
# Pomona itself comes from here only, whatever the package index calls by that name.
"${pip[@]}" --no-index --no-deps --force-reinstall pomona
retry "${pip[@]}" "${index[@]}" --only-binary :all: --require-hashes -r "$home/artifacts/requirements.txt"

# A wheel that wants other versions fails here, not in the job.
"$home/venv/bin/python" -m pip check
"$home/venv/bin/pomona" version
