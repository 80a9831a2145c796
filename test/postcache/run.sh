#!/bin/bash
# PostCache under load: two clients of the pool view posts and lists of users
# while a third writes and compares; then one user floods the cache. Fails when
# a target is missed.
# usage: test/postcache/run.sh [SECONDS]    of the measured load (15)
set -u
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

seconds=${1:-15}
[[ $seconds =~ ^[1-9][0-9]*$ ]] || cx_die 'usage: run.sh [SECONDS]'
users=200
posts=40
pages=(post list summary)

sql() {
	cx_psql db -q "$@" || exit 1
}

# A transaction of a user, in one round trip: scripts for pgbench.
view() {
	printf '%s\n' "\\set user random_zipfian(2, $users, 1.01)" \
		"\\set post :user * 1000000 + random_zipfian(1, $posts, 1.01)" \
		'\startpipeline' 'BEGIN;' "SELECT set_config('app.user_id', :user::text, true);" \
		"SELECT postcache.$1;" 'COMMIT;' '\endpipeline' >"$CX_TMP/${1%%(*}.sql"
}

# script NAME USER LINE...: a transaction of a user, or several
script() {
	local name=$1 user=$2
	shift 2
	printf '%s\n' "\\set user $user" "\\set post :user * 1000000 + random(1, $posts)" \
		"$begin" "$@" 'COMMIT;' >"$CX_TMP/$name.sql"
}

write_scripts() {
	local anybody="random_zipfian(2, $users, 1.01)"
	begin=$(printf '%s\n' 'BEGIN;' "SELECT set_config('app.user_id', :user::text, true);")
	view 'post(:post)'
	view 'list()'
	view 'summary()'
	script create "$anybody" "INSERT INTO postcache.post (user_id, title, body) VALUES (:user, 'new', 'what is new') RETURNING id AS post \\gset" \
		'COMMIT;' "$begin" "SELECT (cachex.lookup('posts', 'post:' || :post)).status = 'hit' AS through \\gset" \
		'INSERT INTO postcache.trial VALUES (:user, :through, postcache.judge(:post));'
	script change "$anybody" "UPDATE postcache.post SET title = 'changed', updated_at = now() WHERE id = :post;" \
		'COMMIT;' "$begin" 'INSERT INTO postcache.trial VALUES (:user, NULL, postcache.judge(:post));'
	script remove "$anybody" 'DELETE FROM postcache.post WHERE id >= 1000000000;' \
		'COMMIT;' "$begin" 'INSERT INTO postcache.trial VALUES (:user, NULL, postcache.judge(:post));'
	# few users, so that there are enough of each
	script sample 'random(2, 21)' "SELECT status <> 'miss' AS hit FROM cachex.lookup('posts', 'post:' || :post) \\gset" \
		'SELECT postcache.post(:post);' 'INSERT INTO postcache.sample VALUES (:user, :hit);'
	printf '%s\n' "\\set first random(0, $((75 * posts / 50 - 1))) * 50" 'BEGIN;' \
		"SELECT set_config('app.user_id', '1', true);" \
		'SELECT count(postcache.post(1000000 + :first + i)) FROM generate_series(1, 50) AS i;' 'COMMIT;' >"$CX_TMP/flood.sql"
	chmod 644 "$CX_TMP"/*.sql
}

# phase NAME SECONDS [BACKGROUND ARG...]: page views by two connections, and
# what the server counted; beside them one connection does something else.
phase() {
	local name=$1 length=$2 beside='' weight=(14 5 1) args=() i
	shift 2
	sql -c 'SELECT cachex.reset_stats()' >/dev/null
	for i in 0 1 2; do
		args+=(-f "$CX_TMP/${pages[i]}.sql@${weight[i]}")
	done
	if [ $# -gt 0 ]; then
		cx_user pgbench -n -M prepared -c 1 -T "$length" "$@" >"$CX_TMP/beside.out" 2>&1 &
		beside=$!
	fi
	cx_long $((length + 300)) pgbench -n -M prepared -c 2 -T "$length" --log --log-prefix="$CX_TMP/log_$name" \
		"${args[@]}" >"$CX_TMP/views.out" 2>&1 || {
		cat "$CX_TMP/views.out" >&2
		cx_die 'the page views failed'
	}
	if [ -n "$beside" ] && { ! wait "$beside" || grep -qiE 'error|aborted' "$CX_TMP/beside.out"; }; then
		cat "$CX_TMP/beside.out" >&2
		cx_die 'what ran beside the page views failed'
	fi
	awk -v names="${pages[*]}" 'BEGIN { split(names, page, " ") } { print $3 "\t" page[$4 + 1] }' "$CX_TMP/log_$name".* |
		PGUSER=postgres sql -v phase="$name" -v seconds="$length" -f "$postcache/measure.sql"
}

started=$SECONDS
cx_setup server || exit 1
cx_begin
# shellcheck disable=SC2119 # no further arguments for make
cx_build || exit 1
postcache=$CX_SRC/test/postcache
cx_server_init db shared_buffers=256MB max_wal_size=4GB cachex.sweep_interval=60s &&
	cx_server_start db || exit 1
export PGHOST=$CX_TMP/db PGPORT=5432 PGUSER=postcache_app PGDATABASE=postgres

echo "PostCache: $users users with $posts posts each, one with $((75 * posts)), behind one role"
sql -v users="$users" -v posts="$posts" -v environment=production -f "$postcache/schema.sql" \
	-f "$postcache/postcache.sql" -f "$postcache/check.sql" -f "$postcache/environment.sql" >/dev/null
write_scripts
writers=(-R 40)
for name in create@3 change@3 remove@1 sample@12; do
	writers+=(-f "$CX_TMP/${name/@/.sql@}")
done

echo '5 s: two connections view pages, without the cache'
PGOPTIONS='-c cachex.enabled=off' phase without 5
echo "$((seconds / 3 + 1)) s: the same with the cache, which is empty"
phase empty $((seconds / 3 + 1))
echo "$seconds s: the same, while a third writes 15 times a second, compares, and samples"
phase full "$seconds" "${writers[@]}"
sql -c "CREATE TABLE postcache.before_flood AS
	SELECT scope AS user_id, key FROM cachex.entries('posts') WHERE scope <> '1' AND status IN ('hit', 'negative')"
echo "$((seconds / 2 + 1)) s: the same, while one user reads all his posts again and again"
phase flood $((seconds / 2 + 1)) -f "$CX_TMP/flood.sql"

echo
sql -f "$postcache/report.sql"
missed=$(sql -At -f "$postcache/targets.sql") || exit 1
cx_server_stop db
echo "$((SECONDS - started)) s in all"
if [ -n "$missed" ]; then
	printf 'Missed:\n%s\n' "$missed"
	exit 1
fi
echo 'All targets reached: a hit rate of 80 %, 1,000 entries of a user at most, others keep theirs, no page of somebody else, none old.'
