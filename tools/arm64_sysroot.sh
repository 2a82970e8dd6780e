#!/bin/sh
# arm64_sysroot.sh SYSROOT PACKAGE...: unpacks Debian's arm64 packages, and all that they depend on,
# into the folder SYSROOT. Takes this machine's mirrors and keys, but keeps apt's state beside the
# folder, so that nothing else on this machine changes.
set -eu

sysroot=$1
shift
apt=$(dirname "$(realpath -m "$sysroot")")/apt
rm -rf "$sysroot" "$apt/archives"
mkdir -p "$sysroot/usr/lib" "$apt/lists/partial" "$apt/archives/partial"
: >"$apt/status"  # nothing is installed, so everything is fetched

private_apt() {
  apt-get -q \
    -o APT::Architecture=arm64 -o APT::Architectures::=arm64 -o APT::Get::Download-Only=true \
    -o APT::Install-Recommends=false -o Debug::NoLocking=true -o APT::Sandbox::User="$(id -un)" \
    -o Dir::State="$apt" -o Dir::State::status="$apt/status" -o Dir::Cache="$apt" \
    -o Dir::Log="$apt" -o DPkg::Post-Invoke= -o APT::Update::Post-Invoke= \
    "$@"
}
private_apt update
private_apt install --yes "$@"

# As on any Debian system of today, /lib is /usr/lib.
ln -s usr/lib "$sysroot/lib"
for package in "$apt"/archives/*.deb; do
  dpkg-deb --fsys-tarfile "$package" |
    tar -x -C "$sysroot" --keep-directory-symlink --exclude='./usr/share/doc'
done
# Absolute links would lead out of the folder.
find "$sysroot" -type l -lname '/*' | while read -r link; do
  ln -sf "$(realpath -m "$sysroot")$(readlink "$link")" "$link"
done
