# A million scopes beside a million keys. Sourced by run.sh.
# shellcheck shell=bash

# Names are of the same length: a key of 9 bytes and one more, or a scope of 9
# with a key of one.
scoped_load() {
	run_sql db "SELECT cachex.create_cache(name, consistency => 'ttl',
			max_entries_per_scope => CASE WHEN name ~ 'limited' THEN 10000000 END)
		FROM unnest('{keys,scopes,limited keys,limited scopes,one}'::text[]) AS name" >/dev/null
	cx_psql db -q -f - <<-'EOF'
		CREATE PROCEDURE fill_named(cache text, key text, scope text, n int, INOUT ms float8 = 0)
		LANGUAGE plpgsql AS $$
		DECLARE
			t timestamptz;
		BEGIN
			FOR i IN 0 .. (n - 1) / 10000 LOOP
				t := clock_timestamp();
				EXECUTE format('SELECT count(cachex.put($1, %s, v, scope => %s)) FROM kv WHERE k > key_of($2) AND k <= key_of($3)', key, scope)
					USING cache, i * 10000, least(n, (i + 1) * 10000);
				COMMIT;
				ms := ms + 1000 * extract(epoch FROM clock_timestamp() - t);
			END LOOP;
		END $$;
		CREATE PROCEDURE time_clear_scope(cache text, scope text, INOUT ms float8 = 0)
		LANGUAGE plpgsql AS $$
		DECLARE
			t timestamptz;
		BEGIN
			FOREACH scope IN ARRAY ARRAY['nobody''s', scope] LOOP
				COMMIT;
				t := clock_timestamp();
				PERFORM cachex.clear(cache, scope => scope);
				COMMIT;
				ms := 1000 * extract(epoch FROM clock_timestamp() - t);
			END LOOP;
		END $$;
	EOF
}

# scoped NAME CACHE KEY SCOPE: fills a million, looks 200,000 of them up
scoped() {
	local name=$1 cache=$2 key=$3 scope=$4 i
	for ((i = 0; i < (ROUNDS < 3 ? ROUNDS : 3); i++)); do
		run_sql db "CALL fill_named('$cache', \$\$$key\$\$, \$\$$scope\$\$, 1000000)" \
			>>"$CX_TMP/fill.$name" || give_up 'a million scopes failed'
		T[bytes.$name]=$(run_sql db "SELECT bytes::float8 / entries FROM cachex.stats WHERE cache = '$cache'")
		if [ "$i" -eq 0 ]; then
			timed db <<-EOF
				\\echo @base
				SELECT count(k) FROM cold;
				\\echo @get
				SELECT count(cachex.get('$cache', $key, scope => $scope)) FROM cold;
			EOF
			T[hit.$name]=$(net get base 200000)
		fi
		run_sql db "SELECT cachex.clear('$cache')" >/dev/null
		run_sql db "CALL await_empty('$cache')"
	done
	T[fill.$name]=$(median <"$CX_TMP/fill.$name")
}

scopes() {
	local n name i
	step 'scopes: a million of them'
	scoped_load || give_up 'scopes failed'
	scoped keys keys k NULL
	scoped scopes scopes "'k'" 'substr(k, 2)'
	# entries of a limited scope know each other, which takes 24 bytes more
	scoped limited.keys 'limited keys' k "'s'"
	scoped limited.scopes 'limited scopes' "'k'" 'substr(k, 2)'
	for name in '' limited.; do
		ratio S "put, a million ${name}scopes; ${name}keys" \
			"${T[fill.${name}scopes]}" "${T[fill.${name}keys]}" ns '<=' 1.25
		ratio S "hit, a million ${name}scopes; ${name}keys" \
			"${T[hit.${name}scopes]}" "${T[hit.${name}keys]}" ns '<=' 1.25
		ratio S "bytes, a million ${name}scopes; ${name}keys" \
			"${T[bytes.${name}scopes]}" "${T[bytes.${name}keys]}" B '<=' 1.25
	done
	for n in 1000 1000000; do
		for ((i = 0; i < (ROUNDS < 3 ? ROUNDS : 3); i++)); do
			if ! {
				run_sql db "CALL fill_named('one', 'k', '\$\$all\$\$', $n)" >/dev/null &&
					run_sql db "CALL time_clear_scope('one', 'all')" &&
					run_sql db "SELECT cachex.clear('one')" >/dev/null &&
					run_sql db "CALL await_empty('one')" >/dev/null
			}; then
				give_up 'clear of a scope failed'
			fi
		done >"$CX_TMP/clear_scope.$n"
		T[clear_scope.$n]=$(calc "1000 * $(median <"$CX_TMP/clear_scope.$n")")
	done
	ratio S 'clear of a scope, 1 M entries; 1 k' "${T[clear_scope.1000000]}" \
		"${T[clear_scope.1000]}" us '<=' 2.0
}
