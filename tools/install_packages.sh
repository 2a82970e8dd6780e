#!/bin/sh
# Installs the Debian packages named as arguments that are not there yet.
set -eu

# One at a time, whoever else calls it.
if [ -z "${POMONA_INSTALLING-}" ]; then
  POMONA_INSTALLING=yes exec flock "$0" "$0" "$@"
fi

missing=
for package in "$@"; do
  dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed ||
    missing="$missing $package"
done
[ -n "$missing" ] || exit 0

as_root=
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null; then
    echo "These packages are missing; install them as root, then call make again:" >&2
    echo "  apt-get install$missing" >&2
    exit 1
  fi
  as_root=sudo
fi
$as_root apt-get update -q
# shellcheck disable=SC2086  # a list of words
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing
