#!/bin/bash
# Replays a trace of accesses through get and, on a miss, put; prints the
# share of hits and of the loaders' time saved beside LRU's (P18, P19).
# usage: test/bench/traces.sh FILE
#   FILE: big-endian integers of 32 bits or one integer a line, maybe .xz
#   TRACE_LIMIT=n: the first n requests only
# Equal sizes: the cache holds 1 % or 10 % of the trace's keys. Sized: values
# of 20 B to 64 KiB and loaders of 1 ms to 5 s, made of the key; the cache has
# 1 % or 10 % of the bytes of all values. LRU (lru.c) counts the values' bytes
# alone, cachex counts all that it takes.
set -u
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

if [ $# -ne 1 ] || [ ! -r "$1" ]; then
	cx_die 'usage: test/bench/traces.sh FILE'
fi
trace=$1
limit=${TRACE_LIMIT:-0}
[[ $limit =~ ^[0-9]+$ ]] || cx_die 'TRACE_LIMIT is a number'
short=0

read_trace() {
	case $trace in
	*.xz) xz -dc -- "$trace" ;;
	*) cat -- "$trace" ;;
	esac
}

# The figures of lazy GreedyDual, computed by a simulator for whole traces.
# reference KIND PERCENT
reference() {
	[ "$limit" -eq 0 ] || return
	case "${trace##*/} $1 $2" in
	'orm-busy.trace'*' equal 1') echo 76.1 ;;
	'orm-busy.trace'*' equal 10') echo 89.3 ;;
	'web12.trace'*' equal 1') echo 43.2 ;;
	'web12.trace'*' equal 10') echo 72.7 ;;
	'orm-busy.trace'*' sized 1') echo 90.0 ;;
	'orm-busy.trace'*' sized 10') echo 96.9 ;;
	'web12.trace'*' sized 1') echo 74.2 ;;
	'web12.trace'*' sized 10') echo 84.3 ;;
	esac
}

# replay KIND PERCENT CAPACITY LRU_HITS LRU_SAVED: one line of the table
replay() {
	local kind=$1 percent=$2 capacity=$3 cache="$1_$2" sized=false
	local limits="max_entries => $3" misses lost seconds=$SECONDS line
	if [ "$kind" = sized ]; then
		sized=true
		limits="max_memory => '$3'"
	fi
	cx_psql db -qAt -c "SELECT cachex.create_cache('$cache', ttl => NULL,
		consistency => 'ttl', $limits)" >/dev/null || exit 1
	line=$(cx_psql db -qAt -F ' ' -c "CALL replay('$cache', $sized)") || exit 1
	read -r misses lost <<<"$line"
	awk -v id="$([ "$kind" = equal ] && echo P18 || echo P19)" \
		-v kind="$kind" -v percent="$percent" -v capacity="$capacity" \
		-v requests="$requests" -v misses="$misses" -v lost="$lost" \
		-v cost="$cost" -v lru_hits="$4" -v lru_saved="$5" \
		-v reference="$(reference "$kind" "$percent")" \
		-v seconds=$((SECONDS - seconds)) '
		BEGIN {
			hits = 100 * (1 - misses / requests)
			saved = kind == "sized" ? 100 * (1 - lost / cost) : hits
			target = reference - (kind == "sized" ? 2.5 : 1.0)
			printf "%-4s %-6s %3d %% %10d | %6.2f %6.2f | %6.2f %6.2f | ", \
				id, kind, percent, capacity, hits, lru_hits, saved, lru_saved
			if (reference == "") {
				printf "%6s %8s  %-5s", "-", "-", "-"
			} else {
				short = sprintf("%.2f", saved) + 0 < target
				printf "%6.1f >= %5.1f  %-5s", reference, target, \
					short ? "short" : "ok"
			}
			printf " %4d s\n", seconds
			exit short ? 3 : 0
		}'
	[ $? -ne 3 ] || short=$((short + 1))
}

cx_setup server xz-utils || exit 1
cx_begin
# shellcheck disable=SC2119 # no further arguments for make
cx_build || exit 1
# As much as 10 % of the largest known trace's bytes take, and room.
cx_server_init db cachex.memory=256MB shared_buffers=256MB fsync=off \
	synchronous_commit=off full_page_writes=off autovacuum=off \
	max_wal_size=4GB jit=off || exit 1
cx_server_start db || exit 1

"${CC:-cc}" -O2 -o "$CX_TMP/lru" "$CX_SRC/test/bench/lru.c" -lm || exit 1
mkdir "$CX_TMP/trace" && chmod 755 "$CX_TMP/lru" || exit 1
read_trace | "$CX_TMP/lru" "$CX_TMP/trace" "$limit" >"$CX_TMP/trace/lru" ||
	cx_die "cannot read $trace"
read -r _ requests unique bytes cost <"$CX_TMP/trace/lru"

cx_psql db -q -f - <"$CX_ROOT/test/bench/traces.sql" &&
	cx_psql db -q -c 'COPY requests FROM STDIN' <"$CX_TMP/trace/requests" &&
	cx_psql db -q -c 'COPY items FROM STDIN' <"$CX_TMP/trace/items" &&
	cx_psql db -q -c 'VACUUM ANALYZE' || exit 1

echo "${trace##*/}: $requests requests$([ "$limit" -eq 0 ] ||
	echo " (TRACE_LIMIT=$limit)"), $unique keys, $bytes bytes when sized"
printf '%-4s %-6s %16s | %13s | %13s | %s\n' '' '' '' '    hits, %' \
	'time saved, %' '   reference'
printf '%-4s %-6s %16s | %6s %6s | %6s %6s | %6s %8s\n' id sizes capacity \
	cachex LRU cachex LRU LGD target
while read -r _ kind percent capacity hits saved; do
	replay "$kind" "$percent" "$capacity" "$hits" "$saved"
done < <(grep '^lru ' "$CX_TMP/trace/lru" | sort -k 2,2 -k 3,3n)
echo "$short short of the target; one session, a transaction a request"
