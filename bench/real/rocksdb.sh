#!/bin/sh
# SPDX-License-Identifier: MIT
# rocksdb - db_bench in a folder that goes away; says how many reads found
# something, which is always the same with the seed given here.
#
#     [LD_PRELOAD=LIBRARY] rocksdb.sh ENTRIES
#
# Fills a database in random order, reads at random, overwrites. The library is
# for db_bench alone, not for the helpers of this script.

library=$LD_PRELOAD
unset LD_PRELOAD
if [ $# -ne 1 ]; then
    echo "usage: rocksdb.sh ENTRIES" >&2
    exit 2
fi

[ -w /dev/shm ] && place=/dev/shm || place=${TMPDIR:-/tmp}
folder=$(mktemp -d "$place/ashlar-rocksdb-XXXXXX") || exit 1
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' HUP INT TERM

LD_PRELOAD="$library" db_bench --db="$folder" --seed=7 --num="$1" \
    --benchmarks=fillrandom,readrandom,overwrite --value_size=200 \
    --write_buffer_size=2000000 --progress_reports=false >"$folder/said" ||
    exit 1
grep -o '([0-9]* of [0-9]* found)' "$folder/said"
