#!/bin/sh
# SPDX-License-Identifier: MIT
#
# record - makes the traces of this folder anew, from programs of Debian 12.
#
#     record.sh BUILD [NAME...]      BUILD holds the tool; all traces by default
#
# A trace made anew is not the one that was there, for addresses, times and
# schedules differ: figures of different traces cannot be compared.

here=$(cd "$(dirname "$0")" && pwd) || exit 1
tool=$(cd "${1:?usage: record.sh BUILD [NAME...]}" && pwd)/ashlar || exit 1
shift
[ $# -gt 0 ] || set -- clang cpp ghostscript jq mariadb perl python redis \
    rocksdb z3
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' HUP INT TERM
cd "$folder" || exit 1

# record LIMIT COMMAND...: the command itself, or what it executes in its place
record() {
    limit=$1
    shift
    "$tool" record -o trace -n "$limit" -- "$@"
}

# input FUNCTION SIZE: one of the inputs of the real programs
input() {
    PYTHONPATH=$here/../real python3 -c '
import sys, inputs
for piece in getattr(inputs, sys.argv[1])(int(sys.argv[2])):
    sys.stdout.buffer.write(piece if isinstance(piece, bytes) else piece.encode())
' "$@"
}

# answers COMMAND...: waits until the command succeeds, 10 seconds at most
answers() {
    for _ in $(seq 100); do
        "$@" >answer 2>&1 && return
        sleep 0.1
    done
    cat answer >&2
    exit 1
}

cpp_source() {
    cat <<'END'
#include <algorithm>
#include <functional>
#include <iostream>
#include <map>
#include <regex>
#include <string>
#include <variant>
#include <vector>
using Value = std::variant<int, double, std::string, std::vector<int>>;
int main(int count, char **words)
{
    std::map<std::string, std::vector<Value>> table;
    const std::regex pattern("([a-z]+)=([0-9]+)(,[0-9]+)*");
    for (int i = 1; i < count; i++) {
        std::smatch match;
        const std::string word = words[i];
        if (std::regex_match(word, match, pattern))
            table[match[1]].push_back(std::stoi(match[2]));
    }
    for (auto &[name, values] : table) {
        std::stable_sort(values.begin(), values.end());
        std::cout << name << ' ' << values.size() << '\n';
    }
}
END
}

# -- the traces, alphabetically --

clang() {
    cpp_source >input.cpp
    # shellcheck disable=SC2046 # the options are words
    record 2000000 /usr/lib/llvm-14/bin/clang -cc1 -O1 -std=c++17 -emit-obj \
        -fcxx-exceptions -fexceptions -o input.o \
        $(clang++ -std=c++17 -E -v input.cpp 2>&1 >/dev/null |
            sed -n 's/^ \(\/usr[^ ]*\)$/-internal-isystem \1/p') input.cpp
}

cpp() {
    cpp_source | g++ -std=c++17 -E -o input.ii -x c++ -
    record 5000000 "$(g++ -print-prog-name=cc1plus)" -quiet -fpreprocessed \
        -std=c++17 -O1 input.ii -o input.s
}

ghostscript() {
    input postscript 100 >input.ps
    record 3000000 gs -q -dBATCH -dNOPAUSE -sDEVICE=pdfwrite \
        -sOutputFile=output.pdf input.ps
}

jq() {
    PYTHONPATH=$here/../real python3 - >people.json <<'END'
import json, random, sys
sys.argv = ["", "0"]
from documents import person
rng = random.Random(1)
sys.stdout.write("\n")
json.dump([person(rng, number) for number in range(40000)], sys.stdout)
END
    sed -i 1d people.json       # what documents.py itself says
    record 3000000 jq 'group_by(.address.town) | map({town: .[0].address.town,
        names: map(.name | ascii_upcase) | sort,
        sum: map(.scores | add // 0) | add})' people.json >output
}

mariadb_client() {
    command mariadb --no-defaults -u root -S "$folder/socket" "$@"
}

# Four clients at once, each in a thread of the server's, and its own threads.
mariadb() {
    mariadbd --no-defaults --bootstrap --datadir=data --skip-grant-tables \
        >log 2>&1 </dev/null
    "$tool" record -o trace -n 3000000 -- mariadbd --no-defaults --user=root \
        --datadir="$folder" --socket="$folder/socket" --skip-networking \
        --skip-grant-tables --innodb-buffer-pool-size=32M >log 2>&1 &
    server=$!
    answers mariadb_client -e 'CREATE DATABASE d'
    for i in 1 2 3 4; do
        python3 - "$i" <<'END' | mariadb_client d >"output$i" &
import random, sys
table, rng = f"t{sys.argv[1]}", random.Random(int(sys.argv[1]))
print(f"CREATE TABLE {table}(id INT PRIMARY KEY, name TEXT, sum INT);")
for i in range(3000):
    print(f"INSERT INTO {table} VALUES({i}, '{'x' * rng.randrange(200)}', 0);")
    print(f"UPDATE {table} SET sum = sum + 1 WHERE id = {rng.randrange(i + 1)};")
    print(f"SELECT id, concat(name, '-', sum) FROM {table}"
          f" WHERE id BETWEEN {i // 2} AND {i // 2 + 9} ORDER BY name DESC;")
END
        clients="$clients $!"
    done
    # shellcheck disable=SC2086 # they are words
    wait $clients
    mariadb_client -e SHUTDOWN
    wait "$server"
}

perl() {
    record 3000000 perl "$here/../real/words.pl" 16000
}

python() {
    PYTHONMALLOC=malloc record 3000000 /usr/bin/python3 -S \
        "$here/../real/documents.py" 8
}

# The harness' client finds the server by its name in PATH, and beside the
# requests what stands in for the jemalloc that Debian links the server to.
redis() {
    mkdir bin
    cat >bin/redis-server <<END
#!/bin/sh
exec "$tool" record -o "$folder/trace" -n 2000000 -- \
    "$(command -v redis-server)" "\$@"
END
    chmod +x bin/redis-server
    input redis_sessions 8 >requests
    cc -O2 -shared -fPIC -Wl,-soname,libjemalloc.so.2 -o libjemalloc.so.2 \
        "$here/../real/nojemalloc.c"
    PATH=$folder/bin:$PATH "$here/../real/redis.py" requests
}

rocksdb() {
    record 5000000 db_bench --db=database --seed=7 --num=60000 --threads=4 \
        --benchmarks=fillrandom,readwhilewriting --value_size=200 \
        --write_buffer_size=1000000 --progress_reports=false
}

z3() {
    input smt 4 >input.smt2
    record 3000000 z3 input.smt2
}

# What lies behind the events is room that the recorder had in hand.
pack() {
    python3 - "$1" <<'END'
import lzma, pathlib, sys
data = pathlib.Path("trace").read_bytes()
data = data[:48 + int.from_bytes(data[16:24], "little")]
pathlib.Path(sys.argv[1]).write_bytes(
    lzma.compress(data, preset=9 | lzma.PRESET_EXTREME))
END
}

for name in "$@"; do
    echo "$name"
    rm -rf "${folder:?}"/*
    "$name" || echo "$name: ended with $?" >&2
    pack "$here/$name.trace.xz" || exit 1
done
