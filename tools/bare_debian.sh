#!/bin/sh
# bare_debian.sh SUITE COMMAND: makes a Debian (bookworm, trixie) that holds what the README asks for
# and nothing else, clones this repository into it, runs COMMAND in the clone and removes it all.
#
# The status is COMMAND's, or 125 where this machine cannot make such a system. How registries are
# reached (mirror, certificates, settings of pip, Maven and Go, proxies) is taken from this machine;
# ../shared/data is there too, read-only.
#
# All happens in namespaces of its own: whatever ends this script ends every process and every mount
# in there, and nothing is ever mounted where the folder is removed.
set -eu

cannot() {
  echo "bare_debian.sh: no bare Debian can be made here: $1" >&2
  exit 125
}

if [ "${1-}" != --inside ]; then
  suite=$1 command=$2
  cd "$(dirname "$0")/.."
  [ "$(id -u)" -eq 0 ] || cannot "this takes root"
  unshare --mount --pid --fork true 2>/dev/null || cannot "namespaces are not allowed"
  tools/install_packages.sh debootstrap >/dev/null || cannot "there is no debootstrap"

  top=$(mktemp -d "${TMPDIR:-/var/tmp}/pomona-$suite-XXXXXX")
  namespace=
  finish() {
    trap '' HUP INT TERM
    # KILL, as unshare lets the others pass; its child, which is the first of all, dies with it.
    [ -z "$namespace" ] || kill -KILL "$namespace" 2>/dev/null || true
    for _ in 1 2 3 4 5; do
      rm -rf --one-file-system "$top" 2>/dev/null && break
      sleep 1  # the last of its processes are just being ended
    done
  }
  trap finish EXIT
  trap 'exit 143' HUP INT TERM
  unshare --mount --pid --fork --kill-child --mount-proc \
    "$0" --inside "$suite" "$command" "$top" </dev/null &
  namespace=$!
  status=0
  wait "$namespace" || status=$?
  namespace=
  exit "$status"
fi

suite=$2 command=$3 top=$4
root=$top/root
home=$root/root

mirror() {
  apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' |
    grep -v security | head -n 1
}
mirror=$(mirror)
if [ -z "$mirror" ]; then  # apt knows no origins before its first update
  apt-get update -q >/dev/null 2>&1 || true
  mirror=$(mirror)
fi
[ -n "$mirror" ] || cannot "apt knows no mirror of Debian"
echo "bare_debian.sh: Debian $suite with g++, Python, make and git" >&2
debootstrap --variant=minbase --include=g++,python3,make,git "$suite" "$root" "$mirror" >"$top/log" 2>&1 || {
  tail -n 5 "$top/log" >&2 || true
  cannot "debootstrap failed"
}

# How this machine reaches the network.
copy() {
  for file; do
    if [ -e "$file" ]; then
      mkdir -p "$root$(dirname "$file")"
      cp -RL "$file" "$root$(dirname "$file")"
    fi
  done
}
copy /etc/resolv.conf /etc/hosts /usr/local/share/ca-certificates \
  /etc/ssl/certs/ca-certificates.crt /etc/pip.conf /etc/xdg/pip
apt-config dump --format '%F "%v";%n' Acquire | grep -v '::IndexTargets' \
  >"$root/etc/apt/apt.conf.d/99acquire"
for file in .config/pip .pip .config/go .m2/settings.xml; do
  if [ -e "${HOME:-/root}/$file" ]; then
    mkdir -p "$home/$(dirname "$file")"
    cp -R "${HOME:-/root}/$file" "$home/$(dirname "$file")"
  fi
done
# It is thrown away: nothing has to survive a power cut.
echo force-unsafe-io >"$root/etc/dpkg/dpkg.cfg.d/unsafe-io"

# Beside each other, as here. Not below /root, where other users, as whom tests run, see nothing.
mkdir -p "$root/srv/shared/data"
git clone --quiet . "$root/srv/pomona"
if [ -d ../shared/data ]; then
  mount --bind ../shared/data "$root/srv/shared/data"
  mount -o remount,bind,ro "$root/srv/shared/data"
fi
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount --rbind /dev "$root/dev"

# Of the environment only what leads to the network, suits the processor or says that this is CI.
set --
for name in $(env | sed -n 's/^\([A-Za-z_][A-Za-z0-9_]*\)=.*/\1/p'); do
  case $name in
  CI | *_PROXY | *_proxy | PIP_* | OPENBLAS_* | GOPROXY | GOSUMDB | GONOSUMDB | GONOPROXY | MAVEN_ARGS | MAVEN_OPTS | \
    *CERT | *CERTS | *CERT_FILE | *CERT_DIR | *CA_BUNDLE | *CAINFO)
    eval "set -- \"\$@\" \"$name=\$$name\""
    ;;
  esac
done
status=0
# What a shell starts in the background ignores these two, and so would all that tests start.
env -i --default-signal=INT,QUIT HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin TMPDIR=/tmp "$@" \
  chroot "$root" sh -c "cd /srv/pomona && { $command; }" || status=$?
exit "$status"
