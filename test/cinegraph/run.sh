#!/bin/bash
# Cinegraph: pages of scores that take seconds to compute, from what is stored,
# also after a restart and a crash. Fails when a target is missed.
# usage: test/cinegraph/run.sh [FILMS]    (100000; of 20000 each decade has a
# thousand films, but then the query does not take seconds, which is a target)
set -u
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

films=${1:-100000}
[[ $films =~ ^([2-9]|1[0-9])[0-9]{4,5}$ ]] || cx_die 'usage: run.sh [FILMS], 20000 at least'
clients=8
views=4000
keys=('1960 balanced' '1990 crowd' '2010 auteurs')
failing='1970 overdrive'

sql() {
	cx_psql db -q "$@" || exit 1
}

# note_runs PHASE: how often the scoring query has run since the start
note_runs() {
	sql -v phase="$1" <<<"INSERT INTO cinegraph.counted SELECT :'phase', runs FROM cinegraph.runs"
}

# first_pages PHASE: each in a session of its own, as it is after a start
first_pages() {
	local key ms
	for key in "${keys[@]}"; do
		ms=$(sql -At -c '\timing on' -c "SELECT cinegraph.page(${key% *}, '${key#* }') IS NULL" |
			sed -n 's/^Time: \([0-9.]*\) ms.*/\1/p')
		sql -v phase="$1" -v ms="$ms" <<<"INSERT INTO cinegraph.measured (phase, ms) VALUES (:'phase', :ms)"
	done
}

# view PHASE: the clients view pages, all of which are there
view() {
	echo "$views page views by $clients clients"
	cx_long 300 pgbench -n -M prepared -c "$clients" -j 2 -t $((views / clients)) --log \
		--log-prefix="$1" -f "$CX_TMP/view.sql" >"$CX_TMP/pgbench.out" 2>&1 || {
		cat "$CX_TMP/pgbench.out" >&2
		cx_die 'the page views failed'
	}
	awk -v phase="$1" '{ print phase "\t" $3 / 1000 }' "$CX_TMP/$1".* |
		sql -c '\copy cinegraph.measured (phase, ms) FROM pstdin'
	note_runs "$1"
}

# Fills are copied into the table in the background.
wait_until_stored() {
	local i n
	for ((i = 0; i < 600; i++)); do
		n=$(sql -At -c "SELECT count(DISTINCT key) FROM cachex.stored_entry
			WHERE key LIKE 'scores:%'") || exit 1
		[ "$n" -lt "${#keys[@]}" ] || return 0
		sleep 0.1
	done
	cx_die "$n of ${#keys[@]} entries are in the table"
}

started=$SECONDS
cx_setup server || exit 1
cx_begin
# shellcheck disable=SC2119 # no further arguments for make
cx_build || exit 1
cinegraph=$CX_SRC/test/cinegraph
cx_server_init db shared_buffers=256MB max_wal_size=4GB cachex.retry_pause=1s &&
	cx_server_start db || exit 1
export PGHOST=$CX_TMP/db PGPORT=5432 PGUSER=postgres PGDATABASE=postgres

echo "Cinegraph: $films films, $((films * 5)) credits, $((films * 17 / 6)) ratings, $((films * 2 / 5)) awards"
sql -v films="$films" -f "$cinegraph/schema.sql" -f "$cinegraph/scoring.sql" \
	-f "$cinegraph/cinegraph.sql" -f "$cinegraph/check.sql" >/dev/null
# One of the keys, one of its ten pages; a division by zero where it is not there.
cat >"$CX_TMP/view.sql" <<-'EOF'
	\set which random(0, 2)
	\set page random(1, 10)
	SELECT 1 / (jsonb_array_length(cinegraph.page((ARRAY[1960, 1990, 2010])[1 + :which],
		(ARRAY['balanced', 'crowd', 'auteurs'])[1 + :which], :page) -> 'films') = 100)::integer;
EOF
chmod 644 "$CX_TMP/view.sql"

echo 'the scoring query, three times'
for key in "${keys[@]}"; do
	sql -c "CALL cinegraph.measure_query(${key% *}, '${key#* }')"
done
missing=$(sql -At -c "SELECT DISTINCT cinegraph.page(decade, profile) ->> 'status' FROM cinegraph.dashboard()")
echo "pages before the first refresh: $missing"
[ "$missing" = 'not computed yet' ] || cx_die 'a page is there that nobody has computed'
note_runs missing

echo "refreshing: ${keys[*]}; $failing, which validation refuses"
for key in "${keys[@]}" "$failing"; do
	sql -At -c "SELECT cinegraph.refresh(${key% *}, '${key#* }')" >/dev/null
done
sql -c 'CALL cinegraph.follow_jobs()'
note_runs refreshed
view cached
calculated="SELECT string_agg(calculated_at::text, ' ' ORDER BY decade) FROM cinegraph.dashboard() WHERE available"
before=$(sql -At -c "$calculated")

wait_until_stored
echo 'restart'
cx_server_stop db && cx_server_start db || exit 1
first_pages first
view restart
echo 'crash'
cx_server_stop db KILL && cx_server_start db || exit 1
first_pages 'crash first'
view crash

echo
sql -f "$cinegraph/report.sql"
missed=$(sql -At -f "$cinegraph/targets.sql") || exit 1
[ "$(sql -At -c "$calculated")" = "$before" ] ||
	missed+=$'\nafter the crash scores are not those from before'
cx_server_stop db
echo "$((SECONDS - started)) s in all"
if [ -n "$missed" ]; then
	printf 'Missed:\n%s\n' "$missed"
	exit 1
fi
echo 'All targets reached: pages in less than 100 ms (p99), also after a restart and a crash; no page computes.'
