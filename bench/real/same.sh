#!/bin/sh
# SPDX-License-Identifier: MIT
# same - run a program on the allocator in question; fail if what it prints
# is not what it printed on glibc.
#
#     BENCH_PRELOAD=LIBRARY same.sh EXPECTED [NAME=VALUE]... PROGRAM [WORD]...
#
# Only the program is preloaded, not this shell, env or cmp: together they cost
# a millisecond or two of processor time. prepare.py writes EXPECTED.

if [ $# -lt 2 ] || [ ! -f "$1" ]; then
    echo "usage: same.sh EXPECTED [NAME=VALUE]... PROGRAM [WORD]..." \
        "(prepare.py writes EXPECTED; there is no file '$1')" >&2
    exit 2
fi
expected=$1
shift

# a pipeline's status is its last program's: the first one's goes by fd 3
verdict=$({
    { env LD_PRELOAD="$BENCH_PRELOAD" "$@"; echo "status $?" >&3; } |
        cmp -s - "$expected" || echo "output is not as expected" >&3
} 3>&1)
[ "$verdict" = "status 0" ] && exit 0

echo "same.sh: $*:" $verdict >&2
echo "(expected: $expected; if the program has changed, remove the folder)" >&2
exit 1
