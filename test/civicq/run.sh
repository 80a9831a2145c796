#!/bin/bash
# CivicQ under load: clients view pages of a question-and-answer site while
# others vote, ask, moderate and answer. Fails when a target is missed.
# usage: test/civicq/run.sh [SECONDS]    of the measured load (25)
set -u
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

seconds=${1:-25}
[[ $seconds =~ ^[1-9][0-9]*$ ]] || cx_die 'usage: run.sh [SECONDS]'
clients=32
questions=40000
contests=1000
cities=50

# What is popular among readers is popular among writers; see visitors.c.
pick_question="\\set question 1 + (random_zipfian(1, $questions, 1.001) - 1) * 7919 % $questions"
pick_contest="\\set contest 1 + (random_zipfian(1, $contests, 1.001) - 1) * 7919 % $contests"
pick_city="\\set city random_zipfian(1, $cities, 1.001)"

sql() {
	cx_psql db -q "$@" || exit 1
}

# script NAME WEIGHT LINE...: a script for pgbench; adds it to the array.
script() {
	local name=$1 weight=$2
	shift 2
	printf '%s\n' "$@" >"$CX_TMP/$name.sql"
	scripts+=(-f "$CX_TMP/$name.sql@$weight")
}

# Of 60 a second: 50 votes, and of everything else some. Each in its time.
write_scripts() {
	scripts=()
	script vote 500 "$pick_question" '\set voter random(1000000000, 2000000000)' \
		'SELECT civicq.cast_vote(:question, :voter);'
	script submit 40 "$pick_contest" \
		"SELECT civicq.submit_question(:contest, :client_id, 'And what about this?');"
	script moderate 20 "$pick_question" '\set reject random(0, 4)' \
		"SELECT civicq.moderate_question(:question, CASE WHEN :reject = 0 THEN 'rejected' ELSE 'approved' END);"
	script answer 20 "$pick_question" \
		"SELECT civicq.upload_video(:question, 'Another answer', 60);"
	script candidate_update 19 "$pick_contest" \
		'UPDATE civicq.candidate SET name = name WHERE id = :contest * 5;'
	script import 1 "$pick_city" "SELECT civicq.import_ballot(:city, 'Runoff', current_date + 60,
		'[{\"title\": \"Mayor\", \"candidates\": [\"First\", \"Second\"]}]');"
	write_args=("${scripts[@]}")
	scripts=()
	script check 1 "$pick_question" '\set voter random(1000000, 999999999)' \
		'SELECT contest_id AS contest, city_id AS city FROM civicq.cast_vote(:question, :voter) \gset' \
		'SELECT * FROM civicq.compare(:question, :contest, :city) \gset' \
		'INSERT INTO civicq.trial VALUES (:question_fresh, :trending_fresh, :contest_fresh,
			:lists_fresh, :candidate_fresh, :ballots_fresh);'
	check_args=("${scripts[@]}")
}

# background NAME ARG...: pgbench until stop_writers
background() {
	local name=$1
	shift
	# These are the variables of the inner shell.
	# shellcheck disable=SC2016
	cx_user sh -c 'echo $$ >"$0.pid"; exec "$@"' "$name" \
		pgbench -n -M prepared -T $((seconds + 900)) "$@" >"$CX_TMP/$name.out" 2>&1 &
}

stop_writers() {
	local name
	for name in writers checker; do
		if ! kill "$(cat "$CX_TMP/$name.pid")" ||
			grep -qiE 'error|aborted' "$CX_TMP/$name.out"; then
			cat "$CX_TMP/$name.out" >&2
			cx_die "the $name failed"
		fi
	done
}

# phase NAME SECONDS: views of pages, and what the server counted. Seconds 0:
# a crawler that views each question and each video once.
phase() {
	local from
	sql -c 'SELECT cachex.reset_stats()' >/dev/null
	from=$(date +%s.%N)
	cx_long $(($2 + 300)) "$CX_TMP/visitors" "$clients" "$2" "$CX_TMP/views" \
		"$questions" "$contests" "$cities" || cx_die 'the page views failed'
	sql -v phase="$1" -v from="$from" -v to="$(date +%s.%N)" \
		-f "$civicq/measure.sql" <"$CX_TMP/views"
}

started=$SECONDS
cx_setup server libpq-dev || exit 1
cx_begin
# shellcheck disable=SC2119 # no further arguments for make
cx_build || exit 1
civicq=$CX_SRC/test/civicq
"${CC:-cc}" -O2 -Wall -pthread -I"$("$PG_CONFIG" --includedir)" \
	-L"$("$PG_CONFIG" --libdir)" -o "$CX_TMP/visitors" "$civicq/visitors.c" -lpq -lm &&
	chmod 755 "$CX_TMP/visitors" || exit 1
cx_server_init db shared_buffers=256MB max_wal_size=4GB max_connections=100 &&
	cx_server_start db || exit 1
export PGHOST=$CX_TMP/db PGPORT=5432 PGUSER=postgres PGDATABASE=postgres

echo "CivicQ: $cities cities, $contests contests, $((contests * 5)) candidates," \
	"$questions questions, $((questions * 5)) votes, $((questions / 2)) videos"
sql -v questions="$questions" -v contests="$contests" -v cities="$cities" \
	-f "$civicq/schema.sql" -f "$civicq/data.sql" -f "$civicq/civicq.sql" \
	-f "$civicq/check.sql" >/dev/null
write_scripts
for ((i = 0; i < 300; i++)); do
	[ "$(sql -At -c 'SELECT count(*) FROM cachex.warmers WHERE last_finished IS NULL')" -gt 0 ] ||
		break
	sleep 0.1
done
echo "built and warmed in $((SECONDS - started)) s"

background writers -c 4 -R 60 "${write_args[@]}"
background checker -c 1 -R 20 "${check_args[@]}"

echo "5 s: $clients clients view pages, without the cache"
PGOPTIONS='-c cachex.enabled=off' phase without 5
echo "$((seconds / 3 + 1)) s: the same with the cache, which has what the warmers put there"
phase warmed $((seconds / 3 + 1))
echo "a crawler views each question and each video once"
phase crawler 0
echo "$seconds s: $clients clients view pages, now that the cache is full"
phase full "$seconds"
stop_writers

echo
sql -f "$civicq/report.sql"
missed=$(sql -At -f "$civicq/targets.sql") || exit 1
cx_server_stop db
echo "$((SECONDS - started)) s in all"
if [ -n "$missed" ]; then
	printf 'Missed:\n%s\n' "$missed"
	exit 1
fi
echo 'All targets reached: 4,000 hits a second, a hit rate of 80 %, 50,000 keys, no stale page.'
