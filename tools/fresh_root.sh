#!/bin/sh
# SPDX-License-Identifier: MIT
#
# fresh_root.sh - tries the committed tree on a new Debian 12.
#
#   tools/fresh_root.sh [--root FOLDER] [--keep] TARGET...
#
# Makes a minimal root with debootstrap in a new FOLDER (below /var/tmp if none
# is named), adds nothing but make, clones the last commit into it and runs
# `make TARGET` there for each target, in a namespace of its own, so that no
# mount and no process outlives it. The root takes its packages from where this
# machine takes them. Exit status 0: every target succeeded. Needs root.
set -eu

suite=bookworm
here=$(cd "$(dirname "$0")/.." && pwd)
root=
keep=no

fail() {
    echo "fresh_root.sh: $*" >&2
    exit 1
}

# The address from which this machine's apt takes the suite's main packages.
mirror() {
    apt-get indextargets --format '$(CODENAME) $(COMPONENT) $(REPO_URI)' \
        'Created-By: Packages' | sed -n "s/^$suite main //p" | head -n 1
}

# The settings that decide how packages are fetched: proxies, time limits,
# which dates to accept. Hooks of this machine's packages stay behind.
copy_apt_settings() {
    etc=$root/etc/apt
    mkdir -p "$etc/apt.conf.d" "$etc/sources.list.d" "$etc/keyrings"
    apt-config dump | grep '^Acquire::' >"$etc/apt.conf.d/90fresh" || true
    rm -f "$etc/sources.list"
    for path in sources.list sources.list.d auth.conf auth.conf.d \
        trusted.gpg trusted.gpg.d keyrings; do
        if [ -e "/etc/apt/$path" ]; then
            cp -RL "/etc/apt/$path" "$etc/"
        fi
    done
    mkdir -p "$root/etc/ssl/certs" "$root/usr/share/keyrings"
    cp -n /usr/share/keyrings/* "$root/usr/share/keyrings/" || true
    if [ -e /etc/ssl/certs/ca-certificates.crt ]; then
        cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
    fi
    cp -L /etc/resolv.conf /etc/hosts "$root/etc/" 2>/dev/null || true
}

make_root() {
    sh "$here/tools/setup.sh" fresh
    uri=$(mirror)
    [ -n "$uri" ] || fail "apt has no source for $suite main"
    # debootstrap does not read apt's settings.
    eval "$(apt-config shell proxy Acquire::http::Proxy)"
    if [ -n "${proxy-}" ]; then
        export http_proxy="$proxy"
    fi
    echo "fresh_root.sh: making a minimal $suite in $root"
    debootstrap --variant=minbase "$suite" "$root" "$uri" >"$root.log" 2>&1 || {
        tail -n 20 "$root.log" >&2
        fail "debootstrap failed"
    }
    rm -f "$root.log"
    copy_apt_settings
    git -c safe.directory='*' clone --quiet --no-hardlinks "$here" \
        "$root/ashlar"
}

# Runs inside the namespace; $1 is a command for the new root's shell.
inside() {
    unshare --mount --pid --fork --kill-child sh -eu -c '
        mount -t proc proc "$1/proc"
        mount --rbind /sys "$1/sys"
        mount --rbind /dev "$1/dev"
        exec chroot "$1" /usr/bin/env -i HOME=/root LANG=C.UTF-8 \
            PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
            /bin/sh -eu -c "$2"' inside "$root" "$1" </dev/null
}

while [ $# -gt 0 ]; do
    case $1 in
    --root) root=$2; shift 2 ;;
    --keep) keep=yes; shift ;;
    -*) fail "usage: fresh_root.sh [--root FOLDER] [--keep] TARGET..." ;;
    *) break ;;
    esac
done
[ $# -gt 0 ] || fail "usage: fresh_root.sh [--root FOLDER] [--keep] TARGET..."
[ "$(id -u)" = 0 ] || fail "needs root, for debootstrap and chroot"
if [ -z "$root" ]; then
    root=$(mktemp -d /var/tmp/ashlar-fresh.XXXXXX)
else
    [ ! -e "$root" ] || fail "$root exists already"
    mkdir -p "$root"
    root=$(cd "$root" && pwd)
fi
chmod 755 "$root"

# The mounts live and die with the namespace: nothing here leads out of the
# file system that the root lies on.
clean_up() {
    if [ "$keep" = yes ]; then
        echo "fresh_root.sh: kept $root"
    else
        rm -rf --one-file-system "$root" "$root.log"
    fi
}
trap clean_up EXIT
trap 'exit 1' HUP INT TERM

make_root
inside 'export DEBIAN_FRONTEND=noninteractive
    { apt-get -q update && apt-get -q -y install make; } >/tmp/log 2>&1 ||
        { cat /tmp/log >&2; exit 1; }
    rm /tmp/log'

failed=
for target; do
    echo "fresh_root.sh: make $target"
    began=$(date +%s)
    if inside "cd /ashlar && exec make $target"; then
        result=passed
    else
        result=FAILED
        failed="$failed $target"
    fi
    echo "fresh_root.sh: make $target: $result," \
        "$(($(date +%s) - began)) s with installing packages"
done
[ -z "$failed" ] || fail "failed in a new $suite:$failed"
