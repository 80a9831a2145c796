#!/bin/bash
# The demo: LivePoll, a poll that a hundred clients watch while votes come in;
# first without the cache, then with it. Fails when a target is missed.
set -u
. "$(dirname "$0")/../lib.sh"

clients=100
uncached_seconds=40
cached_seconds=25

sql() {
	cx_psql db -q "$@" || exit 1
}

# view RUN ARG...: clients view pages; arguments for pgbench.
view() {
	local run=$1
	shift
	# The script of bash -c has its own variables.
	# shellcheck disable=SC2016
	cx_long 300 env "PGHOST=$CX_TMP/db" PGPORT=5432 PGUSER=postgres \
		PGDATABASE=postgres bash -o pipefail -c '
			pgbench -n -M prepared -j 2 -P 5 --log "$@" 2>&1 >pgbench.out |
				sed -u "s/^progress: \([0-9]*\)[^,]*, \([0-9]*\)[^,]* tps, lat \([^ ]*\) ms.*/   \1 s: \2 page views a second, \3 ms each/"
		' view --log-prefix="$run" -c "$clients" -f "$CX_SRC/test/demo/page.sql" "$@" ||
		cx_die 'the page views failed'
}

measure() {
	cat "$CX_TMP/$1".* | sql -v run="$1" -f "$CX_SRC/test/demo/measure.sql"
}
