#!/bin/bash
# The demo: LivePoll, a poll that a hundred clients look at while others vote;
# first without the cache, then with it. Fails when a target is missed.
set -u
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

clients=100
uncached_seconds=40
cached_seconds=25

sql() {
	cx_psql db -q "$@" || exit 1
}

# view RUN ARG...: the clients view pages; arguments for pgbench.
view() {
	local run=$1
	shift
	cx_long 300 pgbench -n -M prepared -c "$clients" -j 2 -P 5 --log \
		--log-prefix="$run" -f "$demo/page.sql" "$@" >"$CX_TMP/pgbench.out" \
		2> >(sed -u 's/^progress: \([0-9]*\)[^,]*, \([0-9]*\).*/\1 s: \2 page views a second/') ||
		cx_die 'the page views failed'
}

measure() {
	cat "$CX_TMP/$1".* | sql -v run="$1" -f "$demo/measure.sql"
}

start_votes() {
	# These are the variables of the inner shell.
	# shellcheck disable=SC2016
	cx_user sh -c 'echo $$ >votes.pid; exec "$@"' votes \
		pgbench -n -M prepared -c 4 -R 20 -T 600 -f "$demo/vote.sql" \
		>"$CX_TMP/votes.out" 2>&1 &
}

stop_votes() {
	kill "$(cat "$CX_TMP/votes.pid")" || {
		cat "$CX_TMP/votes.out" >&2
		cx_die 'the votes failed'
	}
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

# How many views are a run? What fits into the time of the one without.
export PGOPTIONS='-c cachex.enabled=off'
view rehearsal -T 5 >/dev/null
rate=$(sed -n 's/^tps = \([0-9]*\).*/\1/p' "$CX_TMP/pgbench.out")
each=$((rate * uncached_seconds / clients + 1))

echo "$((each * clients)) page views without the cache"
sql -c 'SELECT cachex.reset_stats()' >/dev/null
view without -t "$each"
unset PGOPTIONS
measure without

echo "$((each * clients)) page views with the cache"
sql -c 'SELECT cachex.warm()' -c 'SELECT cachex.reset_stats()' >/dev/null
cx_psql db -q -c "CALL livepoll.check_freshness($cached_seconds)" &
check=$!
view with -t "$each"
measure with

echo 'and on, while votes are checked to be on the next page'
sql -c 'SELECT cachex.reset_stats()' >/dev/null
view longer -T "$cached_seconds"
measure longer
wait "$check" || cx_die 'the check failed'
stop_votes

echo
sql -f "$demo/report.sql"
missed=$(sql -At -f "$demo/targets.sql")
if [ -n "$missed" ]; then
	printf 'Missed: %s\n' "$missed"
	exit 1
fi
sql -At -c "SELECT count(*) || ' votes, each of them on the very next page' FROM livepoll.trial"
cx_server_stop db
