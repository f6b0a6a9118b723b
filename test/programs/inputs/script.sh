# SPDX-License-Identifier: MIT
# Arrays, subshells, substitutions, here-documents, pipes and traps in bash.
set -u
declare -A count=()
declare -a words=()
state=3
random() {
    state=$(( (state * 1103515245 + 12345) % 2147483648 ))
    value=$(( state / 65536 % $1 ))
}
for (( i = 0; i < 4000; i++ )); do
    random 500; count[k$value]=$(( ${count[k$value]:-0} + i ))
    words+=("w$value")
    (( i % 7 == 0 )) && unset "words[$(( ${#words[@]} - 1 ))]"
done
for key in "${!count[@]}"; do echo "$key ${count[$key]}"; done | sort
echo "${#words[@]} ${words[*]:10:20}"
for (( i = 0; i < 60; i++ )); do
    inner=$( ( echo "$i"; echo "$(( i * i ))" ) | { read -r a; read -r b; echo "$a:$b"; } )
    echo "$inner" "$(printf '%05d' "$i")"
done
text=""
for (( i = 0; i < 3000; i++ )); do text+="line $i;"; done
echo "${#text}" "${text//line/row}" | cksum
while IFS='|' read -r left right; do echo "$right <- $left"; done <<END
one|1
two words|2
END
diff <(printf '%s\n' a b c) <(printf '%s\n' a x c)
[[ "abc-123" =~ ^([a-z]+)-([0-9]+)$ ]] && echo "${BASH_REMATCH[@]}"
sleep 0.05 & wait $!
trap 'echo trapped; exit 0' USR1
kill -USR1 $$
echo "not reached"
