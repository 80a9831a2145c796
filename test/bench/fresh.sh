# One load for many callers, and page views while hot keys expire. Sourced by
# run.sh.
# shellcheck shell=bash

# 100 clients miss one key whose loader takes a second: a round is one call of
# each; it lasts until the last one has its answer.
flight() {
	local i loads
	step 'P23: 100 clients miss one 1-second key'
	run_sql db "SELECT cachex.create_cache('flight', consistency => 'ttl')" >/dev/null
	for ((i = 0; i < ROUNDS; i++)); do
		# pg_sleep(1) takes a second, and is volatile, so it is not planned away
		script cold "SELECT cachex.fetch('flight', 'cold $i', 'SELECT $i AS value FROM pg_sleep(1)');"
		cx_client db pgbench -n -c 100 -j 2 -t 1 -f "$CX_TMP/cold.sql" -l \
			--log-prefix="$CX_TMP/log" >/dev/null 2>&1 </dev/null ||
			give_up 'P23 failed'
		# when the last one ended, from when the first one began
		awk '{ t = $5 + $6 / 1e6; b = t - $3 / 1e6
			if (!first || b < first) first = b
			if (t > last) last = t } END { printf "%.4f\n", last - first }' \
			"$CX_TMP"/log.*
		rm -f "$CX_TMP"/log.*
	done >"$CX_TMP/flight"
	loads=$(run_sql db "SELECT loads FROM cachex.stats WHERE cache = 'flight'")
	row P23 'seconds until the last of 100 has its answer' \
		"$(shown "$(median <"$CX_TMP/flight")" s)" '1 s alone' \
		"$(median <"$CX_TMP/flight")" '<=' 1.2
	row P23 'loads for 100 clients, a round' "$(calc "$loads / $ROUNDS")" 1 \
		"$(calc "$loads / $ROUNDS")" '<=' 1
}

# Times to live as they are, a tenth of them (so that in each round every part
# of the page expires several times), or a thousand times: nothing expires.
livepoll_view() {
	PGOPTIONS="-c cachex.ttl_factor=$1" cx_client db pgbench -n -M prepared \
		-c "$2" -j 2 -T 15 ${3:+-R "$3"} -f "$CX_SRC/test/demo/page.sql" -l \
		--log-prefix="$CX_TMP/log" >/dev/null 2>&1 </dev/null ||
		give_up 'the page views failed'
	cat "$CX_TMP"/log.* | awk '{ print $3 / 1000 }' | sort -g |
		awk '{ v[NR] = $1 } END { if (NR) print v[int(NR * 0.999 + 0.999)] }'
	rm -f "$CX_TMP"/log.*
}

# Empty caches, and then the first page: what a cold start costs is not asked.
livepoll_start() {
	run_sql db "DELETE FROM cachex.warmer_definition;
		SELECT cachex.clear(), cachex.reset_stats();
		SET cachex.ttl_factor = $1; SELECT * FROM livepoll.page" >/dev/null
}

livepoll() {
	local i clients rate name
	step 'LivePoll: page views while hot keys expire'
	# the extension is there
	cat "$CX_SRC"/test/demo/{schema,livepoll}.sql | grep -v '^CREATE EXTENSION' |
		cx_psql db -q -f - >/dev/null || give_up 'no LivePoll'
	run_sql db "SELECT cachex.alter_cache(c, '{\"stale_for\": \"1 min\"}')
		FROM unnest('{poll,trend,chart}'::text[]) c" >/dev/null
	for name in '100 ' '20 2000'; do
		read -r clients rate <<<"$name"
		: >"$CX_TMP/expire" && : >"$CX_TMP/rest"
		for ((i = 0; i < ROUNDS; i++)); do
			livepoll_start 1000
			livepoll_view 1000 "$clients" "$rate" >>"$CX_TMP/rest"
			livepoll_start 0.1
			livepoll_view 0.1 "$clients" "$rate" >>"$CX_TMP/expire"
			run_sql db "SELECT 'LivePoll, $clients clients: ' ||
				sum(hits + negative_hits) || ' hits, ' || sum(stale_hits) ||
				' stale, ' || sum(loads) || ' loads, ' || sum(misses) ||
				' misses' FROM cachex.stats WHERE cache IN ('poll', 'trend', 'chart')" >&2
		done
		ratio live "p99.9 of pages, keys expire; none; ${clients} clients${rate:+, $rate/s}" \
			"$(median <"$CX_TMP/expire")" "$(median <"$CX_TMP/rest")" ms '<=' 2
	done
}
