#!/bin/sh
# SPDX-License-Identifier: MIT
#
# setup.sh - installs the Debian packages that the named groups still miss.
#
#   tools/setup.sh build          what compiles the library and the tool
#   tools/setup.sh build check    ... and what the tests run
#   tools/setup.sh demo tidy      ... and so on
#   tools/setup.sh --list check   prints the group's packages, installs nothing
#
# Says nothing when nothing is missing. Otherwise it calls apt-get as root or
# through sudo, if that asks no question; else it prints the line to run and
# fails. Services that come with a package are neither started nor enabled.
set -eu

# Each package with what needs it.
packages_of() {
    case $1 in
    build)
        echo cmake make gcc libc6-dev binutils
        # the tool reads packed profiles, and lines and inlined functions;
        # without them it does neither
        echo zlib1g-dev libdw-dev ;;
    check)
        # compilers, checkers and unit tests
        echo g++ clang libclang-rt-14-dev libcmocka-dev pkg-config spin python3
        echo valgrind strace procps util-linux libjemalloc2
        # what jemalloc's contract is compared with
        echo libjemalloc2
        # the real programs whose output is compared
        echo bash bc bison bzip2 coreutils diffutils findutils flex gawk git
        echo grep gzip jq libpython3.11-testsuite lua5.4 m4 mawk memcached
        echo nginx-light openssl perl php-cli redis-server redis-tools ruby
        echo sed sqlite3 tar tcl vim xz-utils z3 zstd ;;
    demo)
        echo python3 redis-server redis-tools libjemalloc2 ;;
    bench)
        echo python3 libc6-dev libjemalloc2 libmimalloc2.0
        echo libtcmalloc-minimal4 libtbbmalloc2
        # the programs that workloads run: needs = ["...", ...], on one line
        sed -n 's/^needs *= *\[\(.*\)\].*/\1/p' \
            "$(dirname "$0")"/../bench/workloads/*.toml | tr -d '",' ;;
    tidy)
        echo python3 ;;
    fresh)
        echo debootstrap git util-linux ;;
    *)
        echo "setup.sh: no group '$1' (build check demo bench tidy fresh)" >&2
        exit 2 ;;
    esac
}

# The packages among the arguments that are not fully installed.
missing_of() {
    installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "$@" \
        2>/dev/null | sed -n 's/^installed //p' | tr '\n' ' ')
    for package; do
        case " $installed" in
        *" $package "*) ;;
        *) printf '%s ' "$package" ;;
        esac
    done
}

# With this file in place a package's scripts start no service. One that the
# machine has already is left to decide.
policy=/usr/sbin/policy-rc.d
forbid_services() {
    if [ ! -e "$policy" ]; then
        trap 'rm -f "$policy"' EXIT
        trap 'exit 1' HUP INT TERM
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
    fi
}

# Runs as root.
install_packages() {
    export DEBIAN_FRONTEND=noninteractive
    forbid_services
    echo "setup.sh: installing $*"
    log=$(mktemp)
    if { apt-get -q update &&
         apt-get -q -y -o DPkg::Lock::Timeout=300 \
             install --no-install-recommends "$@"; } >"$log" 2>&1 </dev/null
    then
        rm -f "$log"
    else
        cat "$log" >&2
        rm -f "$log"
        echo "setup.sh: apt-get failed (its output is above)" >&2
        return 1
    fi
    # Not started now, and not at the next boot either.
    for package; do
        case $package in
        memcached | redis-server) service=$package ;;
        nginx-light) service=nginx ;;
        *) continue ;;
        esac
        if command -v systemctl >/dev/null; then
            systemctl --quiet disable "$service" >/dev/null 2>&1 || true
        fi
    done
}

if [ "${1-}" = --install ]; then
    shift
    install_packages "$@"
    exit
fi

listing=no
if [ "${1-}" = --list ]; then
    listing=yes
    shift
fi
wanted=
for group; do
    wanted="$wanted $(packages_of "$group" | tr '\n' ' ')"
done

# Unquoted from here: lists of package names.
if [ "$listing" = yes ]; then
    printf '%s\n' $wanted
    exit 0
fi
if ! command -v dpkg-query >/dev/null; then
    echo "setup.sh: not a Debian system; it needs what these packages hold:" \
        $wanted >&2
    exit 0
fi

missing=$(missing_of $wanted)
if [ -z "$missing" ]; then
    exit 0
fi
missing=$(printf '%s\n' $missing | sort -u | tr '\n' ' ')
if [ "$(id -u)" = 0 ]; then
    install_packages $missing
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    sudo -n sh "$0" --install $missing
else
    echo "Some packages are missing. Please run this, then try again:" >&2
    echo "  sudo apt-get install --no-install-recommends $missing" >&2
    exit 1
fi
