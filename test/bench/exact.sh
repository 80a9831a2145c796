# Exact caches: what a hit costs that depends on three tables, and what a
# writer pays for a table that is watched. Sourced by run.sh.
# shellcheck shell=bash

exact_tables() {
	cx_psql db -q -f - <<-'EOF'
		SELECT cachex.create_cache('exact');
		CREATE UNLOGGED TABLE one AS SELECT key_of(i) AS k, i AS v FROM generate_series(1, 1000) i;
		CREATE UNLOGGED TABLE two AS TABLE one;
		CREATE UNLOGGED TABLE three AS TABLE one;
		SELECT cachex.watch(t) FROM unnest('{one, two, three}'::regclass[]) t;
		CREATE UNLOGGED TABLE plain (id int PRIMARY KEY, v int NOT NULL);
		CREATE UNLOGGED TABLE watched (id int PRIMARY KEY, v int NOT NULL);
		INSERT INTO plain SELECT i, i FROM generate_series(1, 100000) i;
		INSERT INTO watched TABLE plain;
		SELECT cachex.watch('watched');
		VACUUM ANALYZE plain;
		VACUUM ANALYZE watched;
	EOF
}

exact_hits() {
	step 'P22: hits that depend on three tables'
	timed db <<-'EOF'
		\echo @base
		SELECT count(k) FROM hot;
		\echo @get
		SELECT count(cachex.get('hot', k)) FROM hot;
		\echo @exact_get
		SELECT count(cachex.get('exact', k)) FROM hot;
		\echo @fetch
		SELECT count(cachex.fetch('exact', k,
			'SELECT one.v + two.v + three.v FROM one, two, three LIMIT 1')) FROM hot;
	EOF
	ratio P22 'fetch hit with three watched tables; get' \
		"$(net fetch base 200000)" "$(net get base 200000)" ns '<=' 2.5
	printf 'P22: get of such an entry takes %.0f ns.\n' \
		"$(net exact_get base 200000)" >>"$CX_TMP/notes"
}

# Many short runs in turn, as for P20; the order changes with each.
write_tax() {
	local i table
	step 'P21: UPDATE of one row'
	for table in plain watched; do
		script "$table" '\set i random(1, 1000)' \
			"UPDATE $table SET v = v + 1 WHERE id = :i;"
		: >"$CX_TMP/tax.$table"
	done
	one_core db on
	for ((i = 0; i < 6 * ROUNDS; i++)); do
		for table in plain watched; do
			[ $((i % 2)) -eq 0 ] || table=$([ $table = plain ] && echo watched || echo plain)
			tps db 1 1 -M prepared -f "$CX_TMP/$table.sql" >>"$CX_TMP/tax.$table"
		done
	done
	one_core db off
	ratio P21 'UPDATEs of one row: watched; not' \
		"$(median <"$CX_TMP/tax.watched")" "$(median <"$CX_TMP/tax.plain")" \
		tps '>=' 0.95
	step 'P21: UPDATE of 100,000 rows'
	for ((i = 0; i < 4 * ROUNDS; i++)); do
		for table in plain watched; do
			[ $((i % 2)) -eq 0 ] || table=$([ $table = plain ] && echo watched || echo plain)
			printf '%s ' "$table"
			cx_psql db -qAt -c '\timing on' -c "UPDATE $table SET v = v + 1" |
				sed -n 's/^Time: \([0-9.]*\) ms.*/\1/p'
			cx_psql db -qAt -c "VACUUM $table"
		done
	done >"$CX_TMP/tax.bulk"
	ratio P21 'UPDATEs of 100 k rows a second: watched; not' \
		"$(awk '$1 == "watched" { print 1000 / $2 }' "$CX_TMP/tax.bulk" | median)" \
		"$(awk '$1 == "plain" { print 1000 / $2 }' "$CX_TMP/tax.bulk" | median)" \
		/s '>=' 0.99
}

exact() {
	exact_tables >/dev/null || give_up 'the tables for P21 and P22 failed'
	exact_hits
	write_tax
}
