#!/bin/bash
# The demo: LivePoll, a poll that a hundred clients look at while others vote;
# first without the cache, then with it. Fails when a target is missed.
set -u
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

clients=100
uncached_seconds=40
cached_seconds=25
progress='s/^progress: \([0-9]*\)[^,]*, \([0-9]*\).*/  \1 s: \2 page views a second/'

sql() {
	cx_psql db -q "$@" || exit 1
}

# view RUN ARG...: the clients view pages; arguments for pgbench.
view() {
	local run=$1
	shift
	cx_long 300 pgbench -n -M prepared -c "$clients" -j 2 -P 5 --log \
		--log-prefix="$run" -f "$demo/page.sql" "$@" \
		2> >(sed -u "$progress") >"$CX_TMP/pgbench.out" ||
		cx_die 'the page views failed'
}

measure() {
	cat "$CX_TMP/$1".* | sql -v run="$1" -f "$demo/measure.sql" || exit 1
}

start_votes() {
	# These are the variables of the inner shell.
	# shellcheck disable=SC2016
	cx_user sh -c 'echo $$ >votes.pid; exec "$@"' votes \
		pgbench -n -M prepared -c 4 -R 20 -T 600 -f "$demo/vote.sql" \
		>"$CX_TMP/votes.out" 2>&1 &
}

stop_votes() {
	if ! kill "$(cat "$CX_TMP/votes.pid")" || grep -q error "$CX_TMP/votes.out"; then
		cat "$CX_TMP/votes.out" >&2
		cx_die 'the votes failed'
	fi
}

cx_setup server || exit 1
cx_begin
# shellcheck disable=SC2119 # no further arguments for make
cx_build || exit 1
demo=$CX_SRC/test/demo
cx_server_init db shared_buffers=256MB max_wal_size=4GB max_connections=150 &&
	cx_server_start db || exit 1
export PGHOST=$CX_TMP/db PGPORT=5432 PGUSER=postgres PGDATABASE=postgres

echo 'LivePoll: 20 options, 2 million votes; 100 clients view pages, 20 votes a second'
sql -f "$demo/schema.sql" -f "$demo/livepoll.sql" -f "$demo/check.sql" >/dev/null
start_votes

# As many views as take that time without the cache.
PGOPTIONS='-c cachex.enabled=off' view rehearsal -T 5 >/dev/null
rate=$(sed -n 's/^tps = \([0-9]*\).*/\1/p' "$CX_TMP/pgbench.out")
each=$((rate * uncached_seconds / clients + 1))

echo "$((each * clients)) page views without the cache"
sql -c 'SELECT cachex.reset_stats()' >/dev/null
PGOPTIONS='-c cachex.enabled=off' view without -t "$each"
measure without

echo "$((each * clients)) page views with the cache"
sql -c 'SELECT cachex.reset_stats()' >/dev/null
cx_psql db -q -c "CALL livepoll.check_freshness($cached_seconds)" &
check=$!
view with -t "$each"
measure with

echo "$cached_seconds s more with the cache"
sql -c 'SELECT cachex.reset_stats()' >/dev/null
view longer -T "$cached_seconds"
measure longer
wait "$check" || cx_die 'the check failed'
stop_votes

echo
sql -f "$demo/report.sql" || exit 1
missed=$(sql -At -f "$demo/targets.sql") || exit 1
cx_server_stop db
if [ -n "$missed" ]; then
	printf 'Missed:\n%s\n' "$missed"
	exit 1
fi
echo 'All targets reached.'
